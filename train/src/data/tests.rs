//! Malformed files of every kind, each refused with its file and field.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

use super::*;

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";

fn idx(magic: u32, dims: &[u32], data: &[u8]) -> Vec<u8> {
    let words = [magic].into_iter().chain(dims.iter().copied());
    words.flat_map(u32::to_be_bytes).chain(data.iter().copied()).collect()
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A good small MNIST: 20 training and 10 test images, gzip-compressed, in `<folder>/mnist`.
fn mnist() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (prefix, count) in [("train", 20u32), ("t10k", 10)] {
        let pixels: Vec<u8> = (0..count * 784).map(|i| (i * 7 % 256) as u8).collect();
        let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
        let path = |kind: &str| folder.path().join("mnist").join(format!("{prefix}-{kind}-ubyte.gz"));
        write(&path("images-idx3"), &gzip(&idx(0x803, &[count, 28, 28], &pixels)));
        write(&path("labels-idx1"), &gzip(&idx(0x801, &[count], &labels)));
    }
    folder
}

fn load_mnist(folder: &Path) -> Result<Splits, DataError> {
    load(DatasetName::Mnist, Some(folder), 0.25, &SeedTree::new(3))
}

#[test]
fn good_idx_files_load_plain_and_compressed() {
    let folder = mnist();
    let splits = load_mnist(folder.path()).unwrap();
    assert_eq!((splits.train.len(), splits.validation.len(), splits.test.len()), (15, 5, 10));
    let n = splits.test.normalisation();
    let byte = splits.test.pixels(2)[5];
    let value = (f32::from(byte) / 255.0 - n.mean[0]) / n.std[0];
    assert!((splits.test.image(2)[5] - value).abs() < 1e-6);
    let all: f64 = splits.train.images(0..15).into_iter().chain(splits.validation.images(0..5)).map(f64::from).sum();
    assert!((all / (20.0 * 784.0)).abs() < 1e-5, "the training set has mean {all}");
    assert_eq!(splits, load_mnist(folder.path()).unwrap());
    // The same, uncompressed and directly in the folder.
    let plain = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path().join("mnist")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap());
        std::io::Read::read_to_end(&mut decoder, &mut bytes).unwrap();
        write(&plain.path().join(path.file_stem().unwrap()), &bytes);
    }
    assert_eq!(splits, load_mnist(plain.path()).unwrap());
}

#[test]
fn malformed_idx_files_are_refused() {
    let pixels = vec![1; 20 * 784];
    let labels = vec![1; 20];
    let mut bad_label = labels.clone();
    bad_label[7] = 10;
    let images = |magic, dims: &[u32], data: &[u8]| (TRAIN_IMAGES, idx(magic, dims, data));
    let label = |magic, dims: &[u32], data: &[u8]| (TRAIN_LABELS, idx(magic, dims, data));
    let cases = [
        (images(0x801, &[20, 28, 28], &pixels), "magic is 0x00000801, expected 0x00000803"),
        (images(0x803, &[20, 27, 28], &pixels), "rows is 27, expected 28"),
        (images(0x803, &[20, 28, 29], &pixels), "columns is 29, expected 28"),
        (images(0x803, &[0, 28, 28], &pixels), "count is 0, expected 1 to 1000000"),
        (images(0x803, &[u32::MAX, 28, 28], &pixels), "count is 4294967295, expected 1 to 1000000"),
        (images(0x803, &[21, 28, 28], &pixels), "pixel data is 15680 bytes, expected 16464 bytes"),
        (images(0x803, &[19, 28, 28], &pixels), "pixel data is longer than 14896 bytes, expected 14896 bytes"),
        (images(0x803, &[20], &[]), "rows is cut off, expected 4 bytes"),
        ((TRAIN_IMAGES, vec![0, 0]), "magic is cut off, expected 4 bytes"),
        (label(0x803, &[20], &labels), "magic is 0x00000803, expected 0x00000801"),
        (label(0x801, &[19], &labels), "count is 19, expected 20, the number of images in train-images-idx3-ubyte"),
        (label(0x801, &[20], &labels[..12]), "label data is 12 bytes, expected 20 bytes"),
        (label(0x801, &[20], &bad_label), "label 7 is 10, expected 0 to 9"),
    ];
    for ((file, bytes), message) in cases {
        let folder = mnist();
        let path = folder.path().join("mnist").join(format!("{file}.gz"));
        write(&path, &gzip(&bytes));
        assert_eq!(load_mnist(folder.path()).unwrap_err().to_string(), format!("{}: {message}", path.display()));
    }
}

#[test]
fn broken_and_missing_files_are_refused() {
    let folder = mnist();
    let path = folder.path().join("mnist").join(format!("{TRAIN_IMAGES}.gz"));
    let bytes = std::fs::read(&path).unwrap();
    write(&path, b"not gzip at all");
    assert!(matches!(load_mnist(folder.path()).unwrap_err(), DataError::Io { path: p, .. } if p == path));
    // Cut in the middle: fewer bytes than the header promises.
    write(&path, &bytes[..bytes.len() / 2]);
    let message = load_mnist(folder.path()).unwrap_err().to_string();
    assert!(message.contains("train-images-idx3-ubyte.gz: pixel data is"), "{message}");
    std::fs::remove_file(&path).unwrap();
    let message = load_mnist(folder.path()).unwrap_err().to_string();
    assert!(message.contains("train-images-idx3-ubyte not found"), "{message}");
}

#[test]
fn names_and_fractions_are_checked() {
    for name in DatasetName::ALL {
        assert_eq!(name.to_string().parse::<DatasetName>().unwrap(), name);
        assert_eq!(serde_json::to_string(&name).unwrap(), format!("\"{name}\""));
    }
    let message = "minst".parse::<DatasetName>().unwrap_err().to_string();
    assert_eq!(message, "unknown data set \"minst\", expected one of glyphs, mnist, fashion-mnist, cifar10");
    let folder = mnist();
    for fraction in [-0.1, 1.0, f64::NAN] {
        let result = load(DatasetName::Mnist, Some(folder.path()), fraction, &SeedTree::new(1));
        assert!(matches!(result, Err(DataError::Config { field: "validation", .. })), "{fraction}");
    }
}

const BATCHES: [&str; 6] =
    ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"];

/// Six batches of two records each.
fn cifar() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let unpacked = folder.path().join("cifar-10").join("cifar-10-batches-bin");
    for (i, name) in BATCHES.iter().enumerate() {
        let bytes: Vec<u8> = (0..2 * 3073).map(|j| if j % 3073 == 0 { i as u8 } else { (i + j) as u8 }).collect();
        write(&unpacked.join(format!("{name}.bin")), &bytes);
    }
    (folder, unpacked)
}

fn archive(unpacked: &Path, to: &Path, names: &[&str]) {
    let mut builder = tar::Builder::new(xz2::write::XzEncoder::new(std::fs::File::create(to).unwrap(), 1));
    for name in names {
        let file = format!("{name}.bin");
        builder.append_path_with_name(unpacked.join(&file), format!("cifar-10-batches-bin/{file}")).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap();
}

#[test]
fn cifar_loads_from_folder_and_archive() {
    let (folder, unpacked) = cifar();
    let from_folder = cifar::load_records(folder.path(), 2).unwrap();
    assert_eq!(from_folder.0.labels, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    assert_eq!((from_folder.1.labels.len(), from_folder.1.pixels.len()), (2, 2 * 3072));
    let packed = tempfile::tempdir().unwrap();
    archive(&unpacked, &packed.path().join("cifar-10-binary.tar.xz"), &BATCHES);
    assert_eq!(cifar::load_records(packed.path(), 2).unwrap(), from_folder);
}

#[test]
fn malformed_cifar_files_are_refused() {
    let (folder, unpacked) = cifar();
    let batch = unpacked.join("data_batch_3.bin");
    let message = |folder: &Path| cifar::load_records(folder, 2).unwrap_err().to_string();
    let good = std::fs::read(&batch).unwrap();
    let mut bad = good.clone();
    bad[3073] = 10;
    write(&batch, &bad);
    assert_eq!(message(folder.path()), format!("{}: label 1 is 10, expected 0 to 9", batch.display()));
    let expected = "expected 6146 bytes (2 records of 3073)";
    write(&batch, &good[..3073]);
    assert_eq!(message(folder.path()), format!("{}: length is 3073 bytes, {expected}", batch.display()));
    write(&batch, &[good.clone(), vec![0]].concat());
    assert_eq!(message(folder.path()), format!("{}: length is longer, {expected}", batch.display()));
    std::fs::remove_file(&batch).unwrap();
    assert!(message(folder.path()).starts_with(&format!("{}: ", batch.display())));

    write(&batch, &good);
    let packed = tempfile::tempdir().unwrap();
    let path = packed.path().join("cifar-10-binary.tar.xz");
    archive(&unpacked, &path, &BATCHES[..5]);
    let expected = "member test_batch.bin is missing, expected a file of 2 records";
    assert_eq!(message(packed.path()), format!("{}: {expected}", path.display()));
    let bytes = std::fs::read(&path).unwrap();
    write(&path, &bytes[..bytes.len() / 2]);
    assert!(message(packed.path()).starts_with(&format!("{}: ", path.display())));
    write(&path, b"not an archive");
    assert!(message(packed.path()).starts_with(&format!("{}: ", path.display())));
    let empty = tempfile::tempdir().unwrap();
    assert!(message(empty.path()).contains("cifar-10-binary.tar.xz not found"));
}

#[test]
fn glyphs_repeat_and_are_balanced() {
    let config = GlyphConfig { train: 200, test: 50, validation: 0.2 };
    let splits = glyphs(&config, &SeedTree::new(5)).unwrap();
    assert_eq!((splits.train.len(), splits.validation.len(), splits.test.len()), (160, 40, 50));
    assert_eq!(splits, glyphs(&config, &SeedTree::new(5)).unwrap());
    assert_ne!(splits, glyphs(&config, &SeedTree::new(6)).unwrap());
    let mut labels = splits.test.labels().to_vec();
    labels.sort_unstable();
    assert!(labels.iter().enumerate().all(|(i, l)| i / 5 == usize::from(*l)));
    // A larger set starts with the same images.
    let larger = glyphs(&GlyphConfig { test: 80, ..config }, &SeedTree::new(5)).unwrap();
    assert_eq!(splits.test.pixels(49), larger.test.pixels(49));
    assert!(glyphs(&GlyphConfig { test: 3, ..config }, &SeedTree::new(5)).is_err());
}

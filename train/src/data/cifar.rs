//! CIFAR-10 in its binary version (A. Krizhevsky, 2009): records of one label byte and three 32 x 32 planes.
//!
//! Read from the unpacked folder `cifar-10-batches-bin` or straight from `cifar-10-binary.tar.xz` or `.tar.gz`.

use std::{
    io::{BufReader, Read},
    path::Path,
};

use striae_spaces::Shape;

use super::{
    dataset::Raw,
    source::{check_labels, field, find, folders, io},
};
use crate::DataError;

const FOLDER: &str = "cifar-10-batches-bin";
const ARCHIVES: [&str; 2] = ["cifar-10-binary.tar.xz", "cifar-10-binary.tar.gz"];
const FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];
const PIXELS: usize = 3 * 32 * 32;
const RECORD: usize = 1 + PIXELS;
/// Memory that an archive may ask for to be unpacked: the highest preset needs 65 MiB, a header may claim 4 GiB.
const XZ_MEMORY: u64 = 128 << 20;
/// Records of each official file.
pub(super) const RECORDS: usize = 10_000;

pub(super) fn load(folder: &Path) -> Result<(Raw, Raw), DataError> {
    load_records(folder, RECORDS)
}

/// As [`load`], with another number of records per file.
pub(super) fn load_records(folder: &Path, records: usize) -> Result<(Raw, Raw), DataError> {
    let names = ["cifar-10", "cifar10"];
    let locate = |file: &str| names.iter().find_map(|name| find(folder, name, file));
    let mut batches = match (locate(FOLDER), ARCHIVES.iter().find_map(|a| locate(a))) {
        (Some(path), _) => read_folder(&path, records)?,
        (None, Some(path)) => read_archive(&path, records)?,
        (None, None) => return Err(DataError::NotFound { file: ARCHIVES[0], folders: folders(folder, names[0]) }),
    };
    let test = batches.pop().expect("one batch per file name");
    let mut train = Raw { shape: test.shape, pixels: Vec::new(), labels: Vec::new() };
    for batch in batches {
        train.pixels.extend(batch.pixels);
        train.labels.extend(batch.labels);
    }
    Ok((train, test))
}

fn read_folder(folder: &Path, records: usize) -> Result<Vec<Raw>, DataError> {
    let read = |file: &&str| {
        let path = folder.join(file);
        let bytes = fs_err::read(&path).map_err(|source| io(&path, source))?;
        parse(&path, &bytes, records)
    };
    FILES.iter().map(read).collect()
}

fn read_archive(path: &Path, records: usize) -> Result<Vec<Raw>, DataError> {
    let file = BufReader::new(fs_err::File::open(path).map_err(|source| io(path, source))?);
    let reader: Box<dyn Read> = match path.extension() {
        Some(e) if e == "xz" => {
            let stream = xz2::stream::Stream::new_stream_decoder(XZ_MEMORY, 0).map_err(|e| io(path, e.into()))?;
            Box::new(xz2::read::XzDecoder::new_stream(file, stream))
        }
        _ => Box::new(flate2::read::MultiGzDecoder::new(file)),
    };
    let mut batches: [Option<Raw>; FILES.len()] = Default::default();
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(|source| io(path, source))? {
        let entry = entry.map_err(|source| io(path, source))?;
        let member = entry.path().map_err(|source| io(path, source))?.into_owned();
        let Some(i) = FILES.iter().position(|f| member.file_name().is_some_and(|name| name == *f)) else { continue };
        let mut bytes = Vec::new();
        // One byte too many is enough to know that the member is too long.
        entry.take((records * RECORD) as u64 + 1).read_to_end(&mut bytes).map_err(|source| io(path, source))?;
        batches[i] = Some(parse(&path.join(&member), &bytes, records)?);
        if batches.iter().all(Option::is_some) {
            break;
        }
    }
    let missing = batches.iter().position(Option::is_none);
    if let Some(i) = missing {
        return Err(field(path, &format!("member {}", FILES[i]), "missing", format!("a file of {records} records")));
    }
    Ok(batches.into_iter().flatten().collect())
}

fn parse(path: &Path, bytes: &[u8], records: usize) -> Result<Raw, DataError> {
    if bytes.len() != records * RECORD {
        let expected = format!("{} bytes ({records} records of {RECORD})", records * RECORD);
        let got = if bytes.len() > records * RECORD { "longer".to_owned() } else { format!("{} bytes", bytes.len()) };
        return Err(field(path, "length", got, expected));
    }
    let (mut labels, mut pixels) = (Vec::with_capacity(records), Vec::with_capacity(records * PIXELS));
    for record in bytes.chunks_exact(RECORD) {
        labels.push(record[0]);
        pixels.extend_from_slice(&record[1..]);
    }
    check_labels(path, &labels)?;
    Ok(Raw { shape: Shape::map(3, 32, 32), pixels, labels })
}

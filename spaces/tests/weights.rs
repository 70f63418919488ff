//! The weight store: files and the check against a network.

use std::path::Path;

use striae_spaces::{Tensor, TypedGraph, WeightError, WeightStore, param_specs, zoo};

fn store(net: &TypedGraph) -> WeightStore {
    let mut store = WeightStore::default();
    for (i, spec) in param_specs(net).into_iter().enumerate() {
        let count = spec.shape.iter().product::<usize>();
        let data = (0..count).map(|j| (i * 31 + j) as f32 * 0.125).collect();
        store.insert(spec.name, Tensor { shape: spec.shape, data });
    }
    store
}

/// A network with a parameter of every kind.
fn net() -> TypedGraph {
    "2x4x4: conv(4,k3,cross,g2,bias) bn quad flatten linear(3,bias)".parse().unwrap()
}

#[test]
fn specs_name_every_parameter() {
    let specs: Vec<String> = param_specs(&net()).iter().map(|s| format!("{} {:?}", s.name, s.shape)).collect();
    let bn = ["gamma", "beta", "mean", "var"].map(|p| format!("n2.{p} [4]"));
    let quad = ["a", "b", "c"].map(|p| format!("n3.{p} [4]"));
    let mut expected = vec!["n1.weight [4, 1, 5]".to_owned(), "n1.bias [4]".to_owned()];
    expected.extend(bn);
    expected.extend(quad);
    expected.extend(["n5.weight [3, 64]".to_owned(), "n5.bias [3]".to_owned()]);
    assert_eq!(specs, expected);
}

#[test]
fn files_hold_what_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    for net in [net(), zoo::build("strianet-mnist").unwrap()] {
        let store = store(&net);
        store.check(&net).unwrap();
        store.save(&path).unwrap();
        assert_eq!(WeightStore::load(&path).unwrap(), store);
        // The running statistics of batch norm are stored but not trained.
        let statistics = store.iter().filter(|(name, _)| name.contains(".mean") || name.contains(".var"));
        let untrained: usize = statistics.map(|(_, tensor)| tensor.data.len()).sum();
        assert_eq!(store.value_count() as u64, net.parameters() + untrained as u64);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no partial file stays behind");
}

#[test]
fn a_store_of_another_network_is_refused() {
    let net = net();
    let full = store(&net);
    let with = |name: &str, tensor: Tensor| {
        let mut changed = full.clone();
        changed.insert(name, tensor);
        changed.check(&net).unwrap_err().to_string()
    };
    let vector = |data: &[f32]| Tensor { shape: vec![data.len()], data: data.to_vec() };
    assert_eq!(WeightStore::default().check(&net).unwrap_err().to_string(), "tensor n1.weight is missing");
    assert_eq!(with("n9.bias", vector(&[1.0])), "tensor n9.bias belongs to no parameter of the network");
    assert_eq!(with("n1.bias", vector(&[1.0])), "tensor n1.bias has shape [1], the network needs [4]");
    assert_eq!(with("n1.bias", vector(&[1.0, 2.0, f32::NAN, 3.0])), "tensor n1.bias holds NaN at index 2");
}

#[test]
fn malformed_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = WeightStore::load(&path).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("weights.safetensors") && !text.contains('\n'), "{text}");
        error
    };
    store(&net()).save(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    for cut in [0, 4, 8, 40, good.len() - 1] {
        assert!(matches!(load(&good[..cut]), WeightError::Format { .. }), "cut at {cut}");
    }
    assert!(matches!(load(b"\xff\xff\xff\xff\xff\xff\xff\xff{}"), WeightError::Format { .. }));
    let text = String::from_utf8_lossy(&good[8..40]).into_owned();
    let at = good.windows(5).position(|w| w == b"\"F32\"").unwrap_or_else(|| panic!("{text}"));
    let mut integers = good.clone();
    integers[at + 1] = b'I';
    assert!(matches!(load(&integers), WeightError::Type { .. }));
    assert!(matches!(WeightStore::load(Path::new("/nonexistent/w")), Err(WeightError::Io { .. })));
}

//! The server leaves the secret key alone even where it could have it: the kernel tells which files `striae infer` opens.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use inotify::{Inotify, WatchMask};

use crate::{INFER, done, prepared};

/// What the server reads.
const INPUTS: [&str; 5] =
    ["a.keys", "image.ct", "bundle/bundle.json", "bundle/architecture.json", "bundle/weights.safetensors"];
/// Begins a file of a secret key; see the file format in `striae_he_eval`.
const SECRET_MAGIC: &[u8] = b"STRIAE\x02";
/// Bytes before a secret key's coefficients.
const HEADER: usize = 64;

/// Which files below a folder are opened, by whomever.
struct Watch {
    inotify: Inotify,
    /// Name in front of those of events.
    folders: Vec<(inotify::WatchDescriptor, PathBuf)>,
    opened: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches the files of some folders, and one file by itself, whatever name it is opened by.
    fn new(folders: &[&Path], file: &Path) -> Self {
        let inotify = Inotify::init().expect("the kernel has inotify");
        let watch = |path: &Path| inotify.watches().add(path, WatchMask::OPEN).expect("watched");
        let folders = folders.iter().chain([&file]).map(|&path| (watch(path), path.to_owned())).collect();
        Self { inotify, folders, opened: BTreeSet::new() }
    }

    /// The files opened so far.
    fn opened(&mut self) -> &BTreeSet<PathBuf> {
        let mut buffer = [0; 1 << 14];
        loop {
            match self.inotify.read_events(&mut buffer) {
                Ok(events) => {
                    for event in events {
                        let (_, folder) = self.folders.iter().find(|f| f.0 == event.wd).expect("one of ours");
                        self.opened.insert(event.name.map_or_else(|| folder.clone(), |name| folder.join(name)));
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return &self.opened,
                Err(e) => panic!("{e}"),
            }
        }
    }
}

/// Every file that a running process has open or mapped, with its device and inode; empty once it has ended.
fn held(child: &Child) -> BTreeSet<(u64, PathBuf)> {
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let mut files = BTreeSet::new();
    let mut add = |link: PathBuf| {
        if let (Ok(meta), Ok(path)) = (fs::metadata(&link), fs::read_link(&link)) {
            files.insert((meta.ino(), path));
        }
    };
    // Links to open files and to mapped ones. The latter are the kernel's privilege in some containers: by name then.
    for folder in ["fd", "map_files"] {
        let links = fs::read_dir(process.join(folder)).into_iter().flatten().flatten();
        links.for_each(|link| add(link.path()));
    }
    let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
    for line in maps.lines() {
        if let [_, _, _, _, inode, path] = line.split_whitespace().collect::<Vec<_>>()[..] {
            files.insert((inode.parse().expect("a number"), PathBuf::from(path)));
        }
    }
    files
}

fn finds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn the_server_never_opens_the_secret_key() {
    let (dir, _) = prepared();
    let at = dir.path().canonicalize().expect("there");
    let secret = at.join("a.key");
    let inode = fs::metadata(&secret).expect("there").ino();
    let mut watch = Watch::new(&[&at, &at.join("bundle")], &secret);
    let binary = assert_cmd::cargo::cargo_bin("striae");
    let mut child = Command::new(&binary)
        .args(INFER)
        .args(["--quiet", "--threads", "1"])
        .current_dir(&at)
        .env_remove("STRIAE_CALIBRATION")
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let mut seen = BTreeSet::new();
    let status = loop {
        seen.append(&mut held(&child));
        if let Some(status) = child.try_wait().expect("our child") {
            break status;
        }
    };
    assert!(status.success());
    assert!(seen.iter().any(|(_, path)| *path == binary.canonicalize().expect("there")), "nothing was seen: {seen:?}");
    let named = |(found, path): &&(u64, PathBuf)| *found == inode || *path == secret;
    assert_eq!(seen.iter().find(named), None, "open or mapped while it ran");
    let opened = watch.opened();
    for input in INPUTS {
        assert!(opened.contains(&at.join(input)), "{input} was not seen to be opened: {opened:?}");
    }
    assert!(!opened.contains(&secret), "the server opened the secret key");
    // The watch sees it when it happens: a client opens the key.
    done(&at, &["decrypt", "bundle", "--key", "a.key", "--in", "result.ct"]);
    assert!(watch.opened().contains(&secret));
}

#[test]
fn what_the_server_gets_holds_no_secret() {
    let (dir, _) = prepared();
    let read = |name: &str| fs::read(dir.path().join(name)).expect("readable");
    let secret = read("a.key");
    assert!(secret.starts_with(SECRET_MAGIC));
    // As they are kept, and as they are computed with: 64 of 8192 ternary coefficients, one byte or one word each.
    let kept = &secret[HEADER..][..64];
    let coefficients = kept.iter().map(|&byte| i64::from(byte) - 1);
    let bytes: Vec<u8> = coefficients.clone().map(|c| c as u8).collect();
    let words: Vec<u8> = coefficients.flat_map(i64::to_le_bytes).collect();
    for input in INPUTS.map(read) {
        for part in [SECRET_MAGIC, kept, &bytes, &words] {
            assert!(!finds(&input, part));
        }
    }
    assert!(finds(&secret, SECRET_MAGIC) && finds(&secret, kept));
}

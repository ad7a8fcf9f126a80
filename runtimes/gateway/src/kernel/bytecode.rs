//! The runner of python3 as bytecode, for the kernels that come later.
//!
//! To compile it takes longer than the interpreter needs to start. So the first interpreter of each release of Python sends what it has
//! compiled, before anything of a client runs in its kernel, and all others load that. They check it by the hash of the source.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where Python looks for it, below the directory of the source.
const PLACE: &str = "__pycache__";
/// The most files that are taken over from another gateway.
const MAX_FILES: usize = 128;
/// The largest one, in bytes.
const MAX_SIZE: u64 = 1024 * 1024;

/// Where bytecode is kept.
#[derive(Clone, Debug)]
pub(crate) struct Bytecode {
    place: PathBuf,
    /// For the gateways that come later.
    cache: Option<PathBuf>,
}

/// Which bytecode an interpreter is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Runner,
    /// That of the modules beside it as well, which takes as long again.
    All,
}

impl Extent {
    /// The word on its command line that tells the interpreter.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Runner => "runner",
            Self::All => "all",
        }
    }
}

impl Bytecode {
    /// Makes the place for it in the directory of the runners, and takes over what earlier gateways have left in `cache`.
    pub(crate) fn create(runners: &Path, cache: Option<&Path>) -> io::Result<Self> {
        let place = runners.join(PLACE);
        DirBuilder::new().mode(0o755).create(&place)?;
        let cache = cache.and_then(|cache| match prepare(cache) {
            Ok(()) => Some(cache.to_owned()),
            Err(error) => {
                tracing::debug!(directory = %cache.display(), %error, "no bytecode is kept");
                None
            }
        });
        let this = Self { place, cache };
        if let Some(cache) = &this.cache {
            // What is missing is compiled.
            let _ = this.take_over(cache);
        }
        Ok(this)
    }

    fn take_over(&self, cache: &Path) -> io::Result<()> {
        for entry in fs::read_dir(cache)?.take(MAX_FILES) {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let metadata = entry.metadata()?;
            if is_name(&name) && metadata.is_file() && metadata.len() <= MAX_SIZE {
                write(&self.place, &name, &fs::read(entry.path())?)?;
            }
        }
        Ok(())
    }

    /// What the first interpreter of a kernel is to send, if it has to compile it.
    pub(crate) fn extent(&self) -> Extent {
        match self.cache {
            Some(_) => Extent::All,
            None => Extent::Runner,
        }
    }

    /// Keeps what an interpreter has sent: the name of a file on a line, and its content. Blocks.
    pub(crate) fn keep(&self, sent: &[u8]) -> io::Result<()> {
        let malformed = || io::Error::from(io::ErrorKind::InvalidData);
        let end = sent.iter().position(|byte| *byte == b'\n');
        let (name, content) = sent.split_at(end.ok_or_else(malformed)?);
        let name = std::str::from_utf8(name).map_err(|_| malformed())?;
        let content = &content[1..];
        if !is_name(name) || content.len() as u64 > MAX_SIZE {
            return Err(malformed());
        }
        write(&self.place, name, content)?;
        match &self.cache {
            Some(cache) => write(cache, name, content),
            None => Ok(()),
        }
    }
}

/// Whether this is the name of a file with bytecode, and no path.
fn is_name(name: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-+".contains(&byte);
    name.len() < 100
        && name.ends_with(".pyc")
        && !name.starts_with('.')
        && name.bytes().all(is_usual)
}

/// Makes the directory, or checks that no one else can put anything in it.
fn prepare(cache: &Path) -> io::Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(cache)?;
    let metadata = fs::metadata(cache)?;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
    if !is_own || metadata.mode() & 0o022 != 0 {
        let text = "the directory is not that of this user alone";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(())
}

/// Puts a file in a directory as a whole: interpreters may read it meanwhile, in kernels that are other users.
fn write(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))?;
    file.persist(directory.join(name))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn only_plain_names_of_bytecode_are_kept() {
        let runners = tempfile::tempdir().unwrap();
        let bytecode = Bytecode::create(runners.path(), None).unwrap();
        bytecode.keep(b"a_b.cpython-311.pyc\nx\ny").unwrap();
        let kept = runners.path().join("__pycache__/a_b.cpython-311.pyc");
        assert_eq!(fs::read(&kept).unwrap(), b"x\ny");
        for bad in [
            "../a.pyc\n",
            "a/b.pyc\n",
            ".pyc\n",
            "a.py\n",
            "a.pyc",
            "\n",
            "",
            "ä.pyc\n",
        ] {
            assert!(bytecode.keep(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_later_gateway_has_what_an_earlier_one_kept() {
        let parent = tempfile::tempdir().unwrap();
        let cache = parent.path().join("cache/runners");
        let [first, second] = ["first", "second"].map(|name| parent.path().join(name));
        fs::create_dir(&first).unwrap();
        fs::create_dir(&second).unwrap();
        let bytecode = Bytecode::create(&first, Some(&cache)).unwrap();
        assert_eq!(bytecode.extent(), Extent::All);
        bytecode.keep(b"a.cpython-311.pyc\nx").unwrap();
        fs::write(cache.join("other"), "x").unwrap();
        Bytecode::create(&second, Some(&cache)).unwrap();
        let taken = fs::read_dir(second.join(PLACE)).unwrap();
        let names: Vec<_> = taken.map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, ["a.cpython-311.pyc"]);
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let cache = parent.path().join("cache");
        fs::create_dir(&cache).unwrap();
        fs::set_permissions(&cache, Permissions::from_mode(0o777)).unwrap();
        fs::write(cache.join("a.pyc"), "x").unwrap();
        let bytecode = Bytecode::create(parent.path(), Some(&cache)).unwrap();
        assert_eq!(bytecode.extent(), Extent::Runner);
        assert_eq!(fs::read_dir(parent.path().join(PLACE)).unwrap().count(), 0);
    }
}

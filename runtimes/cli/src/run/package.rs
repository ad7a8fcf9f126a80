//! The program of a package of Node.

use std::fs;

use serde_json::Value;
use sorna::UploadFile;
use sorna::protocol::FileContent;

use super::words::only;

/// The file that `node DIRECTORY` runs, by `main` in the `package.json` that is in the fewest directories.
pub(super) fn main_of(files: &[UploadFile]) -> Option<&str> {
    let depth = |file: &&UploadFile| file.name().matches('/').count();
    let is_package = |file: &&UploadFile| file.name().rsplit('/').next() == Some("package.json");
    let packages = || files.iter().filter(is_package);
    let least = packages().map(|file| depth(&file)).min()?;
    let package = only(packages().filter(|file| depth(file) == least))?;
    let text = match package.content() {
        FileContent::Bytes(bytes) => bytes.to_vec(),
        FileContent::File { path, .. } => fs::read(path).ok()?,
        _ => return None,
    };
    let package_json: Value = serde_json::from_slice(&text).ok()?;
    let main = package_json.get("main")?.as_str()?;
    let main = main.trim_start_matches("./").trim_end_matches('/');
    let directory = package.name().strip_suffix("package.json")?;
    let candidates = ["", ".js", ".json", "/index.js"].map(|end| format!("{directory}{main}{end}"));
    candidates.iter().find_map(|candidate| {
        let mut named = files.iter().filter(|file| !file.is_directory());
        let file = named.find(|file| file.name() == candidate)?;
        Some(file.name())
    })
}

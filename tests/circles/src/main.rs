//! Finds circles of imports between the files of a crate, without its tests.
//!
//! ```console
//! $ cargo run -p sorna-circles -- core/src/lib.rs runtimes/client/src/lib.rs
//! ```
//!
//! A file imports another when it names something that is defined there, by whatever way: through a
//! `use`, a whole path, or what a third file re-exports. Naming a module is not enough, and neither is
//! a `mod` or a re-export (`pub use`) of what is below; so a module may gather its children, and a
//! circle begins where a child takes what its parent defines while the parent uses the child.
//!
//! Files are the unit, so this is stricter than circles of items, and it does not see what needs types:
//! methods, fields and trait implementations.

mod graph;
mod mentions;
mod modules;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use modules::Modules;

/// The names that one file takes from another.
type Imports = BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>;

/// What each file of a crate takes from the others.
fn imports(root: &Path) -> Result<Imports, String> {
    let modules = Modules::read(root)?;
    let mut imports = Imports::new();
    for (from, mention) in modules.mentions() {
        let Some((to, name)) = resolve::target(&modules, from, mention) else {
            continue;
        };
        let (from, to) = (modules.file(from), modules.file(to));
        if from != to {
            let names = imports.entry((from.to_owned(), to.to_owned()));
            names.or_default().insert(name);
        }
    }
    Ok(imports)
}

fn main() -> ExitCode {
    let roots: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if roots.is_empty() {
        eprintln!("name the first file of each crate, such as core/src/lib.rs");
        return ExitCode::from(2);
    }
    let mut all_good = true;
    for root in roots {
        let imports = match imports(&root) {
            Ok(imports) => imports,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
        };
        let circles = graph::circles(imports.keys());
        println!(
            "{}: {} imports between files, {} circles",
            root.display(),
            imports.len(),
            circles.len()
        );
        for circle in &circles {
            all_good = false;
            println!("  a circle of {} files:", circle.len());
            for ((from, to), names) in &imports {
                if circle.contains(from) && circle.contains(to) {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    println!(
                        "    {} -> {}: {}",
                        from.display(),
                        to.display(),
                        names.join(", ")
                    );
                }
            }
        }
    }
    if all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests;

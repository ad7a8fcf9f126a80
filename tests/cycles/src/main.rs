//! Finds import cycles between the files of a crate. Its tests do not count.
//!
//! ```console
//! $ cargo run -p sorna-cycles -- core/src/lib.rs runtimes/client/src/lib.rs
//! ```
//!
//! A file imports another one if its code names something that is defined there: by a `use`, by a full
//! path, or through the re-export of a third file. Naming a module is not an import, and neither
//! are `mod` and re-exports (`pub use`). So a module may re-export its children; there is a cycle
//! only if a child uses what its parent defines, and the parent uses the child.
//!
//! Names that can be resolved only with types are not detected: methods, fields and trait implementations.

mod graph;
mod mentions;
mod modules;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use modules::Modules;

/// The names that one file imports from another.
type Imports = BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>;

/// The names that each file of a crate imports from the others.
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
        let cycles = graph::cycles(imports.keys());
        println!(
            "{}: {} imports between files, {} cycles",
            root.display(),
            imports.len(),
            cycles.len()
        );
        for cycle in &cycles {
            all_good = false;
            println!("  a cycle of {} files:", cycle.len());
            for ((from, to), names) in &imports {
                if cycle.contains(from) && cycle.contains(to) {
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

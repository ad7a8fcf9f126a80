//! Resolving paths.

use crate::mentions::Names;
use crate::modules::{Id, Modules};

/// A longer chain of re-exports is not followed.
const LONGEST: usize = 32;

/// Where a path ends inside of the crate.
enum Place {
    Module(Id),
    /// Something that a module defines.
    Item(Id, String),
}

/// Resolves a path of a module: the module that defines the item, and the name there. None for
/// items of other crates, local names, and modules themselves.
pub(crate) fn target(modules: &Modules, from: Id, path: &Names) -> Option<(Id, String)> {
    match follow(modules, from, path, LONGEST)? {
        Place::Item(module, name) => Some((module, name)),
        Place::Module(_) => None,
    }
}

fn follow(modules: &Modules, from: Id, path: &[String], left: usize) -> Option<Place> {
    let (first, rest) = path.split_first()?;
    let mut place = match first.as_str() {
        "crate" => Place::Module(0),
        "self" => Place::Module(from),
        "super" => Place::Module(modules.get(from).parent?),
        name => look_up(modules, from, name, rest.is_empty(), left)?,
    };
    for (index, name) in rest.iter().enumerate() {
        let Place::Module(module) = place else {
            // A variant, or something associated.
            return Some(place);
        };
        let is_last = index + 1 == rest.len();
        place = if name == "super" {
            Place::Module(modules.get(module).parent?)
        } else {
            // An item that is not found there was made by a macro.
            look_up(modules, module, name, is_last, left)
                .unwrap_or_else(|| Place::Item(module, name.clone()))
        };
    }
    Some(place)
}

/// A name in a module. The last one of a path is an item before it is a module.
fn look_up(modules: &Modules, id: Id, name: &str, is_last: bool, left: usize) -> Option<Place> {
    let left = left.checked_sub(1)?;
    let module = modules.get(id);
    let item = || {
        let has_it = module.items.contains(name);
        has_it.then(|| Place::Item(id, name.to_owned()))
    };
    let child = || module.children.get(name).copied().map(Place::Module);
    let own = if is_last {
        item().or_else(child)
    } else {
        child().or_else(item)
    };
    let imported = || {
        let mut paths = module.names.get(name).into_iter().flatten();
        // `use x::x` names the item of the other crate, not itself.
        paths.find_map(|path| match path.as_slice() {
            [first, ..] if first == name => None,
            path => follow(modules, id, path, left),
        })
    };
    let globbed = || {
        module
            .globs
            .iter()
            .find_map(|path| match follow(modules, id, path, left)? {
                Place::Module(glob) if glob != id => look_up(modules, glob, name, is_last, left),
                _ => None,
            })
    };
    own.or_else(imported).or_else(globbed)
}

//! Resolving paths.

use std::collections::HashMap;

use crate::mentions::Names;
use crate::modules::{Id, Modules};

/// Where a path ends inside of the crate.
#[derive(Clone)]
enum Place {
    Module(Id),
    /// Something that a module defines.
    Item(Id, String),
}

/// Resolves a path of a module: the module that defines the item, and the name there. None for
/// items of other crates, local names, and modules themselves.
pub(crate) fn target(modules: &Modules, from: Id, path: &Names) -> Option<(Id, String)> {
    match follow(modules, from, path, &mut Known::new())? {
        Place::Item(module, name) => Some((module, name)),
        Place::Module(_) => None,
    }
}

/// The names that were looked up, each in its module and as the last of a path or not, with what they are. Modules
/// import from each other in circles: a name that is still being looked up is not found on a way that leads back.
type Known = HashMap<(Id, String, bool), Option<Place>>;

fn follow(modules: &Modules, from: Id, path: &[String], known: &mut Known) -> Option<Place> {
    let (first, rest) = path.split_first()?;
    let mut place = match first.as_str() {
        "crate" => Place::Module(0),
        "self" => Place::Module(from),
        "super" => Place::Module(modules.get(from).parent?),
        name => look_up(modules, from, name, rest.is_empty(), known)?,
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
            look_up(modules, module, name, is_last, known)
                .unwrap_or_else(|| Place::Item(module, name.clone()))
        };
    }
    Some(place)
}

/// A name in a module. The last one of a path is an item before it is a module.
fn look_up(
    modules: &Modules,
    id: Id,
    name: &str,
    is_last: bool,
    known: &mut Known,
) -> Option<Place> {
    let key = (id, name.to_owned(), is_last);
    if let Some(place) = known.get(&key) {
        return place.clone();
    }
    known.insert(key.clone(), None);
    let place = search(modules, id, name, is_last, known);
    known.insert(key, place.clone());
    place
}

fn search(
    modules: &Modules,
    id: Id,
    name: &str,
    is_last: bool,
    known: &mut Known,
) -> Option<Place> {
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
    if own.is_some() {
        return own;
    }
    for path in module.names.get(name).into_iter().flatten() {
        // `use x::x` names the item of the other crate, not itself.
        if path.first().is_none_or(|first| first == name) {
            continue;
        }
        if let Some(place) = follow(modules, id, path, known) {
            return Some(place);
        }
    }
    module
        .globs
        .iter()
        .find_map(|path| match follow(modules, id, path, known)? {
            Place::Module(glob) if glob != id => look_up(modules, glob, name, is_last, known),
            _ => None,
        })
}

//! The modules of a crate: what each defines, imports and names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Expr, Item, ItemMod, Lit, Meta, Visibility};

use crate::mentions::{Collector, Import, Names, attributes, imports, is_for_tests};

/// The number of a module.
pub(crate) type Id = usize;

/// A module.
#[derive(Default)]
pub(crate) struct Module {
    pub(crate) parent: Option<Id>,
    file: PathBuf,
    pub(crate) children: BTreeMap<String, Id>,
    /// What it defines.
    pub(crate) items: BTreeSet<String>,
    /// Its imports: the paths that a name stands for.
    pub(crate) names: BTreeMap<String, Vec<Names>>,
    /// The paths of its glob imports.
    pub(crate) globs: Vec<Names>,
    /// The paths that it names, other than in re-exports.
    mentions: Vec<Names>,
}

/// All modules of a crate. The first is its root.
pub(crate) struct Modules(Vec<Module>);

impl Modules {
    /// Reads a crate, from its first file on.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let mut modules = Self(Vec::new());
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        modules.read_file(None, root, &folder)?;
        Ok(modules)
    }

    pub(crate) fn get(&self, id: Id) -> &Module {
        &self.0[id]
    }

    /// The file of a module.
    pub(crate) fn file(&self, id: Id) -> &Path {
        &self.0[id].file
    }

    /// Every path in the code, with the module that names it.
    pub(crate) fn mentions(&self) -> impl Iterator<Item = (Id, &Names)> {
        let modules = self.0.iter().enumerate();
        modules.flat_map(|(id, module)| module.mentions.iter().map(move |path| (id, path)))
    }

    /// Reads a file, whose children are in the folder.
    fn read_file(&mut self, parent: Option<Id>, file: &Path, folder: &Path) -> Result<Id, String> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let parsed = syn::parse_file(&text)
            .map_err(|error| format!("cannot parse {}: {error}", file.display()))?;
        self.read_items(parent, file, folder, &parsed.items)
    }

    fn read_items(
        &mut self,
        parent: Option<Id>,
        file: &Path,
        folder: &Path,
        items: &[Item],
    ) -> Result<Id, String> {
        let id = self.0.len();
        self.0.push(Module {
            parent,
            file: file.to_owned(),
            ..Module::default()
        });
        for item in items.iter().filter(|item| !is_for_tests(attributes(item))) {
            match item {
                Item::Mod(module) => self.read_child(id, file, folder, module)?,
                Item::Use(item) if item.leading_colon.is_none() => {
                    let is_private = matches!(item.vis, Visibility::Inherited);
                    for import in imports(&item.tree) {
                        self.0[id].import(import, is_private);
                    }
                }
                item => self.0[id].read(item),
            }
        }
        Ok(id)
    }

    fn read_child(
        &mut self,
        id: Id,
        file: &Path,
        folder: &Path,
        module: &ItemMod,
    ) -> Result<(), String> {
        let name = module.ident.to_string();
        let below = folder.join(&name);
        let child = if let Some((_, items)) = &module.content {
            self.read_items(Some(id), file, &below, items)?
        } else if let Some(path) = path_of(module) {
            let file = file.with_file_name(path);
            let folder = file.parent().unwrap_or(Path::new("")).to_owned();
            self.read_file(Some(id), &file, &folder)?
        } else {
            let beside = folder.join(format!("{name}.rs"));
            let inside = below.join("mod.rs");
            let file = if beside.exists() { beside } else { inside };
            self.read_file(Some(id), &file, &below)?
        };
        self.0[id].children.insert(name, child);
        Ok(())
    }
}

/// What `#[path = "…"]` says.
fn path_of(module: &ItemMod) -> Option<String> {
    let mut values = module.attrs.iter().filter_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        match &pair.value {
            Expr::Lit(literal) if pair.path.is_ident("path") => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        }
    });
    values.next()
}

impl Module {
    fn import(&mut self, import: Import, is_mentioned: bool) {
        match import {
            Import::Name(name, path) => {
                if is_mentioned {
                    self.mentions.push(path.clone());
                }
                self.names.entry(name).or_default().push(path);
            }
            Import::All(path) => self.globs.push(path),
        }
    }

    fn read(&mut self, item: &Item) {
        self.items.extend(match item {
            Item::Const(item) => Some(item.ident.to_string()),
            Item::Enum(item) => Some(item.ident.to_string()),
            Item::Fn(item) => Some(item.sig.ident.to_string()),
            Item::Macro(item) => item.ident.as_ref().map(ToString::to_string),
            Item::Static(item) => Some(item.ident.to_string()),
            Item::Struct(item) => Some(item.ident.to_string()),
            Item::Trait(item) => Some(item.ident.to_string()),
            Item::Type(item) => Some(item.ident.to_string()),
            Item::Union(item) => Some(item.ident.to_string()),
            _ => None,
        });
        let mut collector = Collector::default();
        collector.visit_item(item);
        self.mentions.append(&mut collector.paths);
        for import in collector.imports {
            self.import(import, true);
        }
    }
}

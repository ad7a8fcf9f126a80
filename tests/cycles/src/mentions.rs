//! All paths that a piece of code names.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemUse, Macro, Meta, Path, Stmt, UseTree, Visibility};

/// A path, as its names: `["super", "wait", "sleep_until"]`.
pub(crate) type Names = Vec<String>;

/// What a `use` imports into a module.
pub(crate) enum Import {
    /// A name, and the path of what it stands for.
    Name(String, Names),
    /// Everything of a module or an enum.
    All(Names),
}

/// The imports of a `use`.
pub(crate) fn imports(tree: &UseTree) -> Vec<Import> {
    fn walk(tree: &UseTree, path: &mut Names, found: &mut Vec<Import>) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                walk(&step.tree, path, found);
                path.pop();
            }
            UseTree::Name(name) if name.ident == "self" => {
                let alias = path.last().cloned().unwrap_or_default();
                found.push(Import::Name(alias, path.clone()));
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                found.push(Import::Name(name.clone(), with(path, name)));
            }
            UseTree::Rename(rename) if rename.ident == "self" => {
                found.push(Import::Name(rename.rename.to_string(), path.clone()));
            }
            UseTree::Rename(rename) => {
                let full = with(path, rename.ident.to_string());
                found.push(Import::Name(rename.rename.to_string(), full));
            }
            UseTree::Glob(_) => found.push(Import::All(path.clone())),
            UseTree::Group(group) => {
                for item in &group.items {
                    walk(item, path, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(tree, &mut Vec::new(), &mut found);
    found
}

fn with(path: &Names, name: String) -> Names {
    let mut full = path.clone();
    full.push(name);
    full
}

/// Whether an item is compiled for tests only.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || match &attribute.meta {
                Meta::List(list) if list.path.is_ident("cfg") => needs_test(list.tokens.clone()),
                _ => false,
            }
    })
}

/// Whether the condition of a `cfg` holds in tests only, for the forms that are in use.
fn needs_test(condition: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = condition.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(name)] => name == "test",
        [TokenTree::Ident(name), TokenTree::Group(inner)] if name == "all" => {
            let inner: Vec<TokenTree> = inner.stream().into_iter().collect();
            inner
                .split(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == ','))
                .any(|part| needs_test(part.iter().cloned().collect()))
        }
        _ => false,
    }
}

/// Collects the paths of an item, and the imports of the blocks in it.
#[derive(Default)]
pub(crate) struct Collector {
    pub(crate) paths: Vec<Names>,
    pub(crate) imports: Vec<Import>,
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|part| part.ident.to_string());
            self.paths.push(names.collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_for_tests(&item.attrs) && item.leading_colon.is_none() {
            self.imports.extend(imports(&item.tree));
        }
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let is_skipped = matches!(statement, Stmt::Local(local) if is_for_tests(&local.attrs));
        if !is_skipped {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        paths_of_tokens(call.tokens.clone(), &mut self.paths);
    }

    // Paths in `pub(in …)` and attributes are not used.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

/// Everything that looks like a path in the arguments of a macro.
pub(crate) fn paths_of_tokens(tokens: TokenStream, paths: &mut Vec<Names>) {
    let mut path = Names::new();
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                if colons != 2 {
                    paths.extend((!path.is_empty()).then(|| std::mem::take(&mut path)));
                }
                path.push(name.to_string());
                colons = 0;
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
            other => {
                paths.extend((!path.is_empty()).then(|| std::mem::take(&mut path)));
                colons = 0;
                if let TokenTree::Group(group) = other {
                    paths_of_tokens(group.stream(), paths);
                }
            }
        }
    }
    paths.extend((!path.is_empty()).then_some(path));
}

/// The attributes of an item.
pub(crate) fn attributes(item: &syn::Item) -> &[Attribute] {
    use syn::Item;
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

//! Tests, each with a crate made for it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::{graph, imports};

/// The imports between the files of a crate, as `from -> to: names`, and how many cycles there are.
fn look(files: &[(&str, &str)]) -> (Vec<String>, usize) {
    let folder = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    let imports = imports(&folder.path().join("lib.rs")).expect("it is Rust");
    let short = |path: &PathBuf| {
        let path = path.strip_prefix(folder.path()).expect("it is inside");
        path.display().to_string()
    };
    let lines = imports.iter().map(|((from, to), names)| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!("{} -> {}: {}", short(from), short(to), names.join(" "))
    });
    (lines.collect(), graph::cycles(imports.keys()).len())
}

#[test]
fn two_files_that_use_each_other_are_a_cycle() {
    let (lines, cycles) = look(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub(crate) struct A(B);"),
        (
            "b.rs",
            "pub(crate) struct B; fn f() { super::a::A::new(); }",
        ),
    ]);
    assert_eq!(lines, ["a.rs -> b.rs: B", "b.rs -> a.rs: A"]);
    assert_eq!(cycles, 1);
}

#[test]
fn a_child_that_imports_from_its_parent_is_a_cycle_if_the_parent_uses_it() {
    let child = ("a/b.rs", "use super::A; pub(crate) fn f(_: A) {}");
    let uses = ("a/mod.rs", "mod b; pub(crate) struct A; fn g() { b::f(A) }");
    let (lines, cycles) = look(&[("lib.rs", "mod a;"), uses, child]);
    assert_eq!(lines, ["a/b.rs -> a/mod.rs: A", "a/mod.rs -> a/b.rs: f"]);
    assert_eq!(cycles, 1);
    let re_exports = (
        "a/mod.rs",
        "mod b; pub(crate) use b::f; pub(crate) struct A;",
    );
    let (lines, cycles) = look(&[("lib.rs", "mod a;"), re_exports, child]);
    assert_eq!((lines.len(), cycles), (1, 0));
}

#[test]
fn re_exports_are_followed_to_the_definition() {
    let (lines, cycles) = look(&[
        ("lib.rs", "mod a; pub use a::*; mod c;"),
        (
            "a/mod.rs",
            "mod x; mod y; pub use self::x::X as Z; pub use y::{Y, f};",
        ),
        ("a/x.rs", "use super::Y; pub struct X(Y);"),
        ("a/y.rs", "pub enum Y { One } pub fn f() {}"),
        (
            "c.rs",
            "fn f() { let _ = crate::Y::One; crate::a::f(); } type T = crate::Z;",
        ),
    ]);
    let expected = [
        "a/x.rs -> a/y.rs: Y",
        "c.rs -> a/x.rs: X",
        "c.rs -> a/y.rs: Y f",
    ];
    assert_eq!(lines, expected);
    assert_eq!(cycles, 0);
}

#[test]
fn macro_arguments_are_imports_and_tests_are_not() {
    let (lines, cycles) = look(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        (
            "a.rs",
            "pub fn f() -> u8 { 1 }\n\
             #[cfg(test)] use crate::b::g;\n\
             #[cfg(all(test, unix))] mod tests { use super::*; fn t() { crate::c::h(); } }\n\
             #[cfg(test)] fn t() { crate::b::g(); }",
        ),
        ("b.rs", "pub fn g() { println!(\"{}\", crate::a::f()); }"),
        (
            "c.rs",
            "pub fn h() { use crate::a; assert_eq!(1, a::f()); }",
        ),
    ]);
    assert_eq!(lines, ["b.rs -> a.rs: f", "c.rs -> a.rs: f"]);
    assert_eq!(cycles, 0);
}

#[test]
fn other_crates_and_local_names_are_not_files() {
    let (lines, _) = look(&[
        (
            "lib.rs",
            "mod http; #[path = \"x/b.rs\"] mod b; pub(crate) mod inline { pub fn f() {} }",
        ),
        (
            "http.rs",
            "use ::http::Request; use std::fmt; type T = Request<fmt::Error>;",
        ),
        (
            "x/b.rs",
            "use bytes::{self, Bytes}; fn f(g: Bytes) { g.len(); super::inline::f(); }",
        ),
    ]);
    assert_eq!(lines, ["x/b.rs -> lib.rs: f"]);
}

#[test]
fn cycles_are_the_strongly_connected_components() {
    let edges = [(1, 2), (2, 3), (3, 1), (3, 4), (4, 5), (5, 4), (6, 1)];
    let cycles = graph::cycles(edges.iter());
    assert_eq!(cycles, [BTreeSet::from([1, 2, 3]), BTreeSet::from([4, 5])]);
}

#[test]
fn modules_that_import_all_of_each_other_end() {
    let names: Vec<String> = (0..20).map(|number| format!("m{number}")).collect();
    let globs: String = names
        .iter()
        .map(|name| format!("pub(crate) use crate::{name}::*; "))
        .collect();
    let root: String = names.iter().map(|name| format!("mod {name}; ")).collect();
    let mut files = vec![("lib.rs".to_owned(), root)];
    for name in &names {
        let text = format!("{globs} fn f() {{ missing(); found(); }}");
        files.push((format!("{name}.rs"), text));
    }
    files[1].1 += " pub(crate) fn found() {}";
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    let (lines, cycles) = look(&files);
    // Each but the first imports it from there.
    assert_eq!((lines.len(), cycles), (19, 0));
}

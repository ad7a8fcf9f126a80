//! What a kernel of Java runs by default, as a command that arguments can follow.

use std::fs;

use sorna::UploadFile;
use sorna::protocol::FileContent;

use super::words::{only, quote};

/// The command for these files: `Main` if there is one, else the class of the only file with a main method, as the gateway
/// of this project chooses. `None` if there is no such file, or several.
pub(super) fn command(files: &[UploadFile]) -> Option<String> {
    let sources = || files.iter().filter(|file| file.name().ends_with(".java"));
    if let Some(file) = only(sources()).filter(|file| is_named_otherwise(file)) {
        // The launcher finds the class, and must not find it compiled as well.
        return Some(format!("java -cp /tmp {}", quote(file.name())));
    }
    if sources().any(|file| file.name() == "Main.java") {
        return Some("java Main".to_owned());
    }
    let main = only(sources().filter(|file| has_main(&text_of(file)))).or_else(|| only(sources()));
    let mains = sources().filter(|file| file.name().ends_with("/Main.java"));
    let file = main.or_else(|| only(mains))?;
    let path = file.name().strip_suffix(".java")?;
    let (directory, class) = path.rsplit_once('/').unwrap_or(("", path));
    let text = text_of(file);
    let Some(package) = package(&text) else {
        return Some(in_directory(directory, class));
    };
    // The directories of the package are below those of the class path.
    let inside = package.replace('.', "/");
    let root = match directory.strip_suffix(&inside) {
        Some(root) if root.is_empty() || root.ends_with('/') => root.trim_end_matches('/'),
        // In other directories than those of its package: the compiler has not put the class there either.
        _ => return Some(format!("java {}", quote(file.name()))),
    };
    Some(in_directory(root, &format!("{package}.{class}")))
}

fn in_directory(directory: &str, class: &str) -> String {
    match directory {
        "" => format!("java {}", quote(class)),
        directory => format!("java -cp {} {}", quote(directory), quote(class)),
    }
}

fn text_of(file: &UploadFile) -> String {
    match file.content() {
        FileContent::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        FileContent::File { path, .. } => fs::read(path).map_or_else(
            |_| String::new(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        ),
        _ => String::new(),
    }
}

/// Whether it has a method `void main(`.
fn has_main(text: &str) -> bool {
    text.match_indices("void").any(|(at, word)| {
        let rest = &text[at + word.len()..];
        let name = rest.trim_start();
        let after = name.strip_prefix("main").map(str::trim_start);
        name.len() < rest.len() && after.is_some_and(|after| after.starts_with('('))
    })
}

/// Whether a source has classes, but none of its own name.
fn is_named_otherwise(file: &UploadFile) -> bool {
    let text = text_of(file);
    let name = file.name().rsplit('/').next().unwrap_or_default();
    let class = name.trim_end_matches(".java");
    text.contains("class") && !declares(&text, class)
}

/// Whether it has a class, or the like, of this name.
fn declares(text: &str, name: &str) -> bool {
    ["class", "interface", "enum", "record"].iter().any(|kind| {
        text.match_indices(kind).any(|(at, kind)| {
            let rest = &text[at + kind.len()..];
            let after = rest.trim_start().strip_prefix(name);
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            rest.starts_with(char::is_whitespace)
                && after.is_some_and(|after| !after.starts_with(is_part))
        })
    })
}

/// The package that a source says it is in.
fn package(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix("package")?;
        let name = rest.split_once(';')?.0.trim();
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        (rest.starts_with([' ', '\t']) && !name.is_empty() && name.chars().all(is_name))
            .then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_main_or_the_only_class_with_a_main_method() {
        const MAIN: &str = "public static void main(String[] args) {}";
        let packaged = format!("// x\npackage a.b;\n{MAIN}");
        for (files, command) in [
            (&[("Hello.java", MAIN)][..], Some("java Hello")),
            (&[("jj/Hello.java", MAIN)], Some("java -cp jj Hello")),
            (
                &[("a b/c/Hello.java", MAIN)],
                Some("java -cp 'a b/c' Hello"),
            ),
            (&[("a/b/Hello.java", &packaged)], Some("java a.b.Hello")),
            (
                &[
                    ("src/a/b/Hello.java", &packaged),
                    ("src/a/b/Other.java", ""),
                ],
                Some("java -cp src a.b.Hello"),
            ),
            (
                &[("xa/b/Hello.java", &packaged)],
                Some("java xa/b/Hello.java"),
            ),
            (
                &[("jd/Main.java", MAIN), ("jd/Other.java", ""), ("x.txt", "")],
                Some("java -cp jd Main"),
            ),
            (&[("Main.java", ""), ("A.java", MAIN)], Some("java Main")),
            (&[("A.java", "voidmain(")], Some("java A")),
            (
                &[
                    ("A.java", "void mainly()"),
                    ("B.java", "static void\n main ("),
                ],
                Some("java B"),
            ),
            (
                &[("b/a.java", "public class\n Hello { void main() }")],
                Some("java -cp /tmp b/a.java"),
            ),
            (
                &[("Main.java", "class Other {} // class Maine")],
                Some("java -cp /tmp Main.java"),
            ),
            (
                &[("Hello.java", "class A {} final class Hello<T> {}")],
                Some("java Hello"),
            ),
            (&[("A.java", MAIN), ("B.java", MAIN)], None),
            (&[("a.txt", MAIN)], None),
        ] {
            let file = |(name, text): &(&str, &str)| {
                UploadFile::from_bytes(*name, text.as_bytes().to_vec()).unwrap()
            };
            let files: Vec<_> = files.iter().map(file).collect();
            assert_eq!(super::command(&files).as_deref(), command, "{files:?}");
        }
    }
}

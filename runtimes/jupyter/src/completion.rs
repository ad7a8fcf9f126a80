//! Cursor positions, and completions as Jupyter's clients want them.
//!
//! Positions in Jupyter's messages count Unicode code points from the beginning of the code.

/// A place in code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor<'c> {
    /// The code before it.
    pub before: &'c str,
    /// The code behind it.
    pub after: &'c str,
}

impl<'c> Cursor<'c> {
    /// The place behind so many code points, or the end of the code.
    #[must_use]
    pub fn at(code: &'c str, position: usize) -> Self {
        let at = code.char_indices().nth(position);
        let (before, after) = code.split_at(at.map_or(code.len(), |(at, _)| at));
        Self { before, after }
    }

    /// The number of its line, from 0.
    #[must_use]
    pub fn row(&self) -> usize {
        self.before.matches('\n').count()
    }

    /// Its line up to it.
    #[must_use]
    pub fn line(&self) -> &'c str {
        self.before.rsplit('\n').next().unwrap_or_default()
    }

    /// The rest of its line.
    #[must_use]
    pub fn rest_of_line(&self) -> &'c str {
        self.after.split('\n').next().unwrap_or_default()
    }

    /// The dotted name around it, for which help is wanted; in the brackets of a call, that of the function.
    #[must_use]
    pub fn name(&self) -> String {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
        let end_of = |text: &str| {
            let length = text.chars().rev().take_while(|c| is_part(*c)).count();
            let start = text.chars().count() - length;
            text.chars().skip(start).collect::<String>()
        };
        let rest: String = self
            .after
            .chars()
            .take_while(|c| is_part(*c) && *c != '.')
            .collect();
        let name = end_of(self.before) + &rest;
        let name = name.trim_matches('.').to_owned();
        if !name.is_empty() {
            return name;
        }
        let mut depth = 0_usize;
        for (at, c) in self.before.char_indices().rev() {
            match c {
                ')' | ']' => depth += 1,
                '(' if depth == 0 => {
                    return end_of(&self.before[..at]).trim_matches('.').to_owned();
                }
                '(' | '[' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        String::new()
    }
}

/// What may be put in place of code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// The texts, without the bracket of a call.
    pub matches: Vec<String>,
    /// Which of them are functions, as far as that is known.
    pub are_functions: Vec<bool>,
    /// The position where what they replace begins, in code points.
    pub start: usize,
    /// The position where it ends: the cursor.
    pub end: usize,
}

impl Completions {
    /// The candidates of a gateway that go on where the cursor is. Gateways say whole words, of which a part is there.
    #[must_use]
    pub fn of(cursor: &Cursor<'_>, candidates: Vec<String>) -> Self {
        let line = cursor.line();
        let overlap = |text: &str| {
            let ends = text.char_indices().map(|(at, one)| at + one.len_utf8());
            ends.rev()
                .find(|end| line.ends_with(&text[..*end]))
                .unwrap_or(0)
        };
        let replaced = candidates.iter().map(|text| overlap(text)).max();
        let replaced = replaced.unwrap_or(0);
        let there = &line[line.len() - replaced..];
        // A word that is there only in part is not completed by another one.
        let is_in_word = replaced == 0 && line.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let candidates = candidates.into_iter();
        let candidates = candidates.filter(|it| it.starts_with(there) && !is_in_word);
        Self::in_place_of(there, cursor, candidates)
    }

    /// Candidates that are put in place of what is before the cursor, whatever they begin with: `there`.
    #[must_use]
    pub fn in_place_of(
        there: &str,
        cursor: &Cursor<'_>,
        candidates: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut all = Self {
            end: cursor.before.chars().count(),
            ..Self::default()
        };
        all.start = all.end - there.chars().count();
        for text in candidates {
            let name = text.strip_suffix('(');
            let is_function = name.is_some();
            let name = name.unwrap_or(&text).to_owned();
            if !all.matches.contains(&name) {
                all.matches.push(name);
                all.are_functions.push(is_function);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str, position: usize, candidates: &[&str]) -> (usize, usize, Vec<String>) {
        let candidates = candidates.iter().map(|&text| text.to_owned()).collect();
        let found = Completions::of(&Cursor::at(code, position), candidates);
        (found.start, found.end, found.matches)
    }

    #[test]
    fn positions_count_code_points() {
        let cursor = Cursor::at("é𝒳 = '漢'\nx.é", 9);
        assert_eq!((cursor.row(), cursor.line(), cursor.after), (1, "", "x.é"));
        assert_eq!(Cursor::at("é", 7).before, "é");
        let all = ["x.été".to_owned()];
        assert_eq!(of("𝒳𝒳; x.é", 7, &["x.été"]), (4, 7, all.to_vec()));
        assert_eq!(of("𝒳\nx.é + 1", 5, &["x.été"]), (2, 5, all.to_vec()));
    }

    #[test]
    fn brackets_of_calls_are_left_out_and_known() {
        let candidates = vec![
            "print(".to_owned(),
            "private".to_owned(),
            "print".to_owned(),
        ];
        let found = Completions::of(&Cursor::at("pri", 3), candidates);
        assert_eq!(found.matches, ["print", "private"]);
        assert_eq!(found.are_functions, [true, false]);
        assert_eq!((found.start, found.end), (0, 3));
    }

    #[test]
    fn candidates_begin_with_what_is_there() {
        assert_eq!(of("f(", 2, &["a"]), (2, 2, vec!["a".to_owned()]));
        assert_eq!(of("abc", 3, &["x"]), (3, 3, vec![]));
        assert_eq!(of("os.p", 4, &["path"]), (3, 4, vec!["path".to_owned()]));
        assert_eq!(of("", 0, &[]), (0, 0, vec![]));
    }

    #[test]
    fn the_name_at_the_cursor() {
        for (code, position, name) in [
            ("os.path", 4, "os.path"),
            ("os.path", 1, "os"),
            ("print(a, (1), ", 14, "print"),
            ("x = f(", 6, "f"),
            ("f(g(1))", 6, "f"),
            ("1 + ", 4, ""),
            ("é.a ", 3, "é.a"),
        ] {
            assert_eq!(Cursor::at(code, position).name(), name, "{code}");
        }
    }
}

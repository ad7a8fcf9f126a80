//! The part of GraphQL's syntax that queries of clients use: one operation with variables, fields with arguments and
//! fields below them, aliases. No fragments, no directives.

use std::iter::Peekable;
use std::str::CharIndices;

use serde_json::{Map, Number, Value};

/// How deep fields and values may be nested.
const MAX_DEPTH: usize = 16;
/// The most fields and values of a query.
const MAX_NODES: usize = 4096;

/// A field that a query asks for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryField {
    /// The name in the response: its alias, or its own.
    pub key: String,
    /// The field's own name.
    pub name: String,
    /// With the variables' values.
    pub arguments: Map<String, Value>,
    /// The fields below it.
    pub fields: Vec<QueryField>,
}

/// Reads the fields of a GraphQL query. `variables` are the values of its variables.
///
/// ```
/// use serde_json::{Map, json};
/// use sorna_core::server::backend_ai::parse_query;
///
/// let fields = parse_query("query { mine: session(id: 7) { name } }", &Map::new())?;
/// assert_eq!((&*fields[0].key, &*fields[0].name), ("mine", "session"));
/// assert_eq!(fields[0].arguments["id"], json!(7));
/// assert_eq!(fields[0].fields[0].name, "name");
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
///
/// The message for the client: the query has another form, is nested too deeply, or too large.
pub fn parse_query(query: &str, variables: &Map<String, Value>) -> Result<Vec<QueryField>, String> {
    let mut parser = Parser {
        text: query,
        chars: query.char_indices().peekable(),
        token: None,
        variables: variables.clone(),
        nodes: 0,
    };
    parser.advance()?;
    let fields = parser.operation()?;
    match parser.token {
        None => Ok(fields),
        Some(_) => Err("only one operation is supported".to_owned()),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Number(String),
    Text(String),
    /// One of `{}()[]:$!=@`, or a dot of `...`.
    Sign(char),
}

struct Parser<'q> {
    text: &'q str,
    chars: Peekable<CharIndices<'q>>,
    token: Option<Token>,
    variables: Map<String, Value>,
    nodes: usize,
}

impl Parser<'_> {
    fn operation(&mut self) -> Result<Vec<QueryField>, String> {
        if let Some(Token::Name(kind)) = &self.token {
            if kind != "query" {
                return Err(format!("only queries are supported, not {kind:?}"));
            }
            self.advance()?;
            if matches!(self.token, Some(Token::Name(_))) {
                self.advance()?;
            }
            if self.takes('(')? {
                self.declarations()?;
            }
        }
        self.fields(0)
    }

    /// `$limit: Int!, $status: String = "RUNNING"`
    fn declarations(&mut self) -> Result<(), String> {
        while !self.takes(')')? {
            self.expect('$')?;
            let name = self.name()?;
            self.expect(':')?;
            let mut lists = 0;
            while self.takes('[')? {
                lists += 1;
            }
            self.name()?;
            self.takes('!')?;
            for _ in 0..lists {
                self.expect(']')?;
                self.takes('!')?;
            }
            if self.takes('=')? {
                let value = self.value(0)?;
                self.variables.entry(name).or_insert(value);
            }
        }
        Ok(())
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<QueryField>, String> {
        self.descend(depth)?;
        self.expect('{')?;
        let mut fields = Vec::new();
        while !self.takes('}')? {
            fields.push(self.field(depth)?);
        }
        if fields.is_empty() {
            return Err("Syntax Error: Expected Name, found '}'.".to_owned());
        }
        Ok(fields)
    }

    fn field(&mut self, depth: usize) -> Result<QueryField, String> {
        let key = self.name()?;
        let name = if self.takes(':')? {
            self.name()?
        } else {
            key.clone()
        };
        let mut arguments = Map::new();
        if self.takes('(')? {
            while !self.takes(')')? {
                let name = self.name()?;
                self.expect(':')?;
                let value = self.value(depth)?;
                arguments.insert(name, value);
            }
        }
        let has_fields = self.token == Some(Token::Sign('{'));
        let fields = if has_fields {
            self.fields(depth + 1)?
        } else {
            Vec::new()
        };
        Ok(QueryField {
            key,
            name,
            arguments,
            fields,
        })
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        self.descend(depth)?;
        if self.takes('$')? {
            let name = self.name()?;
            return Ok(self.variables.get(&name).cloned().unwrap_or_default());
        }
        if self.takes('[')? {
            let mut list = Vec::new();
            while !self.takes(']')? {
                list.push(self.value(depth + 1)?);
            }
            return Ok(list.into());
        }
        if self.takes('{')? {
            let mut object = Map::new();
            while !self.takes('}')? {
                let name = self.name()?;
                self.expect(':')?;
                object.insert(name, self.value(depth + 1)?);
            }
            return Ok(object.into());
        }
        let value = match &self.token {
            Some(Token::Text(text)) => text.clone().into(),
            Some(Token::Number(number)) => number.parse::<Number>().map_or_else(
                |_| Err(format!("Syntax Error: Invalid number {number}.")),
                |number| Ok(number.into()),
            )?,
            Some(Token::Name(name)) => match name.as_str() {
                "true" => true.into(),
                "false" => false.into(),
                "null" => Value::Null,
                name => name.into(),
            },
            _ => return Err(self.unexpected("a value")),
        };
        self.advance()?;
        Ok(value)
    }

    fn descend(&mut self, depth: usize) -> Result<(), String> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err("the query is too large".to_owned());
        }
        Ok(())
    }

    fn name(&mut self) -> Result<String, String> {
        match self.token.take() {
            Some(Token::Name(name)) => {
                self.descend(0)?;
                self.advance()?;
                Ok(name)
            }
            token => {
                self.token = token;
                Err(self.unexpected("Name"))
            }
        }
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.takes(sign)? {
            return Ok(());
        }
        Err(self.unexpected(&format!("'{sign}'")))
    }

    fn takes(&mut self, sign: char) -> Result<bool, String> {
        let is_it = self.token == Some(Token::Sign(sign));
        if is_it {
            self.advance()?;
        }
        Ok(is_it)
    }

    fn unexpected(&self, expected: &str) -> String {
        let found = match &self.token {
            None => "<EOF>".to_owned(),
            Some(Token::Name(text) | Token::Number(text) | Token::Text(text)) => {
                let text: String = text.chars().take(40).collect();
                format!("{text:?}")
            }
            Some(Token::Sign(sign)) => format!("'{sign}'"),
        };
        format!("Syntax Error: Expected {expected}, found {found}.")
    }

    /// Reads the next token.
    fn advance(&mut self) -> Result<(), String> {
        self.token = loop {
            let Some((start, c)) = self.chars.next() else {
                break None;
            };
            match c {
                // Commas are white space.
                c if c.is_whitespace() || c == ',' || c == '\u{feff}' => {}
                '#' => while self.chars.next_if(|(_, c)| *c != '\n').is_some() {},
                c if c.is_ascii_alphabetic() || c == '_' => {
                    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    break Some(Token::Name(self.rest(start, word)));
                }
                c if c.is_ascii_digit() || c == '-' => {
                    let digit =
                        |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
                    break Some(Token::Number(self.rest(start, digit)));
                }
                '"' => break Some(Token::Text(self.string()?)),
                '{' | '}' | '(' | ')' | '[' | ']' | ':' | '$' | '!' | '=' => {
                    break Some(Token::Sign(c));
                }
                '.' | '@' => return Err("fragments and directives are not supported".to_owned()),
                c => {
                    return Err(format!(
                        "Syntax Error: Cannot parse the unexpected character {c:?}."
                    ));
                }
            }
        };
        Ok(())
    }

    fn rest(&mut self, start: usize, belongs: impl Fn(char) -> bool) -> String {
        let mut end = start + 1;
        while let Some((at, c)) = self.chars.next_if(|(_, c)| belongs(*c)) {
            end = at + c.len_utf8();
        }
        self.text[start..end].to_owned()
    }

    /// A string; its first quote has been read. Its escapes are those of JSON.
    fn string(&mut self) -> Result<String, String> {
        let mut json = String::from('"');
        let mut escaped = false;
        for (_, c) in self.chars.by_ref() {
            json.push(c);
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let text = serde_json::from_str(&json);
                    return text.map_err(|_| "Syntax Error: Invalid string.".to_owned());
                }
                _ => {}
            }
        }
        Err("Syntax Error: Unterminated string.".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(query: &str, variables: Value) -> Result<Vec<QueryField>, String> {
        let Value::Object(variables) = variables else {
            panic!("no object")
        };
        parse_query(query, &variables)
    }

    #[test]
    fn queries_of_clients_are_read() {
        let query = "query($limit:Int!, $offset:Int!, $status: String) {\n  compute_session_list(\n\
            limit:$limit, offset:$offset, status:$status, ids: [1, \"a\\n\"], deep: {x: true}) {\n\
            items { id alias: name dependencies { name id } }\n total_count\n  }\n}";
        let fields = read(query, json!({"limit": 20, "offset": 0})).unwrap();
        let [list] = &fields[..] else {
            panic!("{fields:?}")
        };
        assert_eq!(list.name, "compute_session_list");
        let arguments = json!({"limit": 20, "offset": 0, "status": null, "ids": [1, "a\n"], "deep": {"x": true}});
        assert_eq!(Value::Object(list.arguments.clone()), arguments);
        let names = |fields: &[QueryField]| -> Vec<(String, String)> {
            let each = fields.iter().map(|it| (it.key.clone(), it.name.clone()));
            each.collect()
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            names(&list.fields),
            [pair("items", "items"), pair("total_count", "total_count")]
        );
        let items = names(&list.fields[0].fields);
        assert_eq!(items[1], pair("alias", "name"));
        assert_eq!(list.fields[0].fields[2].fields.len(), 2);
    }

    #[test]
    fn names_comments_and_defaults_are_understood() {
        let query = "# all\nquery Sessions($a: [Int!]! = [1], $b: Int = 2) { x(a: $a, b: $b) }";
        let fields = read(query, json!({"b": 3})).unwrap();
        assert_eq!(
            Value::Object(fields[0].arguments.clone()),
            json!({"a": [1], "b": 3})
        );
        assert_eq!(read("{ x }", json!({})).unwrap()[0].name, "x");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for query in [
            "",
            "query",
            "{}",
            "{ x",
            "{ x } }",
            "{ x } { y }",
            "mutation { x }",
            "{ ...f }",
            "{ x @skip(if: true) }",
            "{ x(a) }",
            "{ x(a: \"b) }",
            "{ x(a: 1-2) }",
            "{ é }",
            &format!("{}x", "{ x ".repeat(100)),
            &format!("{{ x(a: {}) }}", "[".repeat(100)),
            &format!("{{ {} }}", "x ".repeat(10_000)),
        ] {
            assert!(read(query, json!({})).is_err(), "{query:.40}");
        }
    }
}

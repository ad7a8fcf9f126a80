//! Queries in GraphQL: one operation with variables, and fields with arguments, aliases and fields below them. No
//! fragments, no directives: clients do not use them.

use graphql_parser::query::{
    Definition, Document, Field, OperationDefinition, Selection, SelectionSet, Value as Given,
    VariableDefinition, parse_query as parse,
};
use serde_json::{Map, Number, Value};

/// The most fields of a query.
const MAX_FIELDS: usize = 4096;
/// The longest that the values of variables may be together, each time that they are used, in bytes of JSON.
const MAX_VALUES: usize = 1 << 20;
const TOO_LARGE: &str = "the query is too large";
/// The most characters of an error of the parser that a client is sent.
const MAX_ERROR: usize = 200;

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
    let document: Document<'_, String> = parse(query).map_err(|error| {
        let text = error.to_string().trim().replace('\n', ": ");
        let text: String = text.chars().take(MAX_ERROR).collect();
        format!("Syntax Error: {text}")
    })?;
    let [definition] = &document.definitions[..] else {
        return Err("only one operation is supported".to_owned());
    };
    let (declared, selection) = match definition {
        Definition::Operation(OperationDefinition::SelectionSet(selection)) => (&[][..], selection),
        Definition::Operation(OperationDefinition::Query(query)) if query.directives.is_empty() => {
            (&query.variable_definitions[..], &query.selection_set)
        }
        _ => return Err("only queries are supported, without fragments and directives".to_owned()),
    };
    let mut reader = Reader {
        variables,
        defaults: Map::new(),
        fields_left: MAX_FIELDS,
        bytes_left: MAX_VALUES,
    };
    reader.declare(declared)?;
    reader.fields(selection)
}

struct Reader<'v> {
    variables: &'v Map<String, Value>,
    /// Of the variables that have no value.
    defaults: Map<String, Value>,
    /// How many more fields there may be.
    fields_left: usize,
    /// How long the values of variables may still be, as JSON: one that is used often is copied as often.
    bytes_left: usize,
}

impl Reader<'_> {
    fn declare(&mut self, declared: &[VariableDefinition<'_, String>]) -> Result<(), String> {
        for variable in declared {
            if let Some(default) = &variable.default_value {
                // A default has no variables, so the order does not matter.
                let value = self.constant(default)?;
                self.defaults.insert(variable.name.clone(), value);
            }
        }
        Ok(())
    }

    fn fields(&mut self, selection: &SelectionSet<'_, String>) -> Result<Vec<QueryField>, String> {
        let fields = selection.items.iter().map(|item| match item {
            Selection::Field(field) if field.directives.is_empty() => self.field(field),
            _ => Err("fragments and directives are not supported".to_owned()),
        });
        fields.collect()
    }

    fn field(&mut self, field: &Field<'_, String>) -> Result<QueryField, String> {
        self.fields_left = self.fields_left.checked_sub(1).ok_or(TOO_LARGE)?;
        let mut arguments = Map::new();
        for (name, value) in &field.arguments {
            arguments.insert(name.clone(), self.constant(value)?);
        }
        Ok(QueryField {
            key: field.alias.as_ref().unwrap_or(&field.name).clone(),
            name: field.name.clone(),
            arguments,
            fields: self.fields(&field.selection_set)?,
        })
    }

    /// The value with those of its variables.
    fn constant(&mut self, value: &Given<'_, String>) -> Result<Value, String> {
        Ok(match value {
            Given::Variable(name) => self.variable(name)?,
            Given::Int(number) => number.as_i64().into(),
            Given::Float(number) => Number::from_f64(*number)
                .ok_or_else(|| format!("the number {number} is too large"))?
                .into(),
            Given::String(text) | Given::Enum(text) => text.clone().into(),
            Given::Boolean(is_true) => (*is_true).into(),
            Given::Null => Value::Null,
            Given::List(items) => {
                let items = items.iter().map(|item| self.constant(item));
                items.collect::<Result<Vec<_>, _>>()?.into()
            }
            Given::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.constant(value)?)));
                Value::Object(fields.collect::<Result<_, String>>()?)
            }
        })
    }

    /// The value of a variable: null if there is none.
    fn variable(&mut self, name: &str) -> Result<Value, String> {
        let value = self.variables.get(name).or_else(|| self.defaults.get(name));
        let Some(value) = value else {
            return Ok(Value::Null);
        };
        let length = value.to_string().len();
        self.bytes_left = self.bytes_left.checked_sub(length).ok_or(TOO_LARGE)?;
        Ok(value.clone())
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
    fn a_long_variable_cannot_be_used_often() {
        let variables = json!({"a": "x".repeat(300_000)});
        let query = |times: usize| format!("query($a: String) {{ {} }}", "x(a: $a) ".repeat(times));
        assert_eq!(read(&query(3), variables.clone()).unwrap().len(), 3);
        assert_eq!(read(&query(4), variables).unwrap_err(), TOO_LARGE);
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

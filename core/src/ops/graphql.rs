//! Backend.AI: `POST /admin/gql`, for what has no path of its own.

use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::operation::Success;
use crate::error::{BuildError, Error, GatewayError};
use crate::unsigned::UnsignedRequest;

#[derive(Serialize)]
struct Request<'a, V> {
    query: &'a str,
    variables: V,
}

#[derive(Deserialize)]
struct Response<T> {
    data: Option<T>,
    // Manager 26.9.6 always sends the key, and null in a success; 23.09.10 leaves it out then.
    errors: Option<Vec<Value>>,
}

/// The request for a query with these variables.
pub(super) fn prepare(
    query: &str,
    variables: impl Serialize,
) -> Result<UnsignedRequest, BuildError> {
    UnsignedRequest::new(Method::POST, "/admin/gql").json(&Request { query, variables })
}

/// Reads the data of a response; a query with errors comes with a status of success.
///
/// A response with both is an error as well: what failed is missing in its data.
pub(super) fn read<T: DeserializeOwned>(
    success: &Success,
    expected: &'static str,
) -> Result<T, Error> {
    // Errors first: with them, the data may be of any form.
    let response: Response<Value> = success.json(expected)?;
    if let Some(errors) = response.errors.filter(|errors| !errors.is_empty()) {
        let message = |error: &Value| match error.get("message").and_then(Value::as_str) {
            Some(message) => message.to_owned(),
            None => error.to_string(),
        };
        let messages = errors.iter().map(message).collect();
        let (status, body) = (success.status(), success.body());
        let what = "the gateway rejected the query";
        return Err(GatewayError::reported(status, body, what, messages).into());
    }
    let data = response.data.ok_or_else(|| success.unexpected(expected))?;
    serde_json::from_value(data).map_err(|error| success.not_json(expected, error).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::success;
    use super::*;

    fn read_number(body: &str) -> Result<u8, Error> {
        read(&success(body), "a number")
    }

    #[test]
    fn a_query_is_sent_with_its_variables() {
        let request = prepare("query($a:Int){x(a:$a)}", json!({"a": 1})).unwrap();
        assert_eq!(
            (request.method().as_str(), request.path()),
            ("POST", "/admin/gql")
        );
        let body = String::from_utf8_lossy(&request.texts[request.path_len..]).into_owned();
        assert_eq!(
            body,
            r#"{"query":"query($a:Int){x(a:$a)}","variables":{"a":1}}"#
        );
    }

    #[test]
    fn errors_are_known_by_their_value() {
        for body in [
            r#"{"data": 3}"#,
            r#"{"data": 3, "errors": null}"#,
            r#"{"data": 3, "errors": []}"#,
        ] {
            assert_eq!(read_number(body).unwrap(), 3, "{body}");
        }
        for body in [
            r#"{"data": null, "errors": [{"message": "No."}]}"#,
            r#"{"data": {"x": null}, "errors": [{"message": "No."}]}"#,
            r#"{"errors": [{"message": "No.", "locations": []}]}"#,
        ] {
            let error = read_number(body).unwrap_err();
            let gateway = error.gateway().expect("an error of the gateway");
            assert_eq!(
                (gateway.status().as_u16(), gateway.message()),
                (200, Some("No."))
            );
            assert_eq!(gateway.body(), body);
            assert!(!error.is_retryable() && !error.may_have_acted());
        }
    }

    #[test]
    fn an_error_without_a_message_is_shown_whole() {
        let error = read_number(r#"{"errors": [null, {"code": 3}, {"message": "No."}]}"#);
        assert_eq!(
            error.unwrap_err().to_string(),
            r#"the gateway rejected the query: null; {"code":3}; No."#
        );
    }

    #[test]
    fn a_response_without_data_is_not_of_the_protocol() {
        for body in [
            "{}",
            r#"{"data": null}"#,
            r#"{"data": "3"}"#,
            r#"{"data": 3, "errors": "No."}"#,
            "[]",
            "",
        ] {
            let error = read_number(body).unwrap_err();
            assert!(matches!(error, Error::Parse(_)), "{body}: {error:?}");
        }
    }
}

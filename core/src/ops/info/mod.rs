//! `GET /v2/kernel/{id}`, in Backend.AI `GET /session/{name or id}`: information about a kernel. (API manual of
//! 2017, "Kernel management".)

mod backend_ai;

use std::fmt;
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::backend_ai::to_session;
use super::operation::{Operation, Success};
use super::sorna_v2::to_kernel;
use crate::error::{BuildError, Busy, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `GET /v2/kernel/{id}`, in Backend.AI `GET /session/{name or id}`: asks for information about a kernel.
///
/// Manager 26.9.6 knows a session from its creation on, and for about 3 s after it was destroyed (as
/// `TERMINATING`); afterwards it is [not found](crate::Error::is_not_found). (API manual of 2017, "Kernel
/// management".)
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Info {
    /// The kernel.
    pub kernel: KernelId,
}

impl Info {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self { kernel }
    }
}

/// Information about a kernel. Any field may be missing. (API manual of 2017, "Kernel management".)
///
/// Sorna v2 and Backend.AI have the language, the age and the number of executions in common. The limits and
/// what is used of them are Sorna v2's; image, status, slots and dates are Backend.AI's.
///
/// Observed on gateway 0.9.11: most numbers are 0 for the first 5 s.
///
/// A limit of zero means that there is no limit. Gateways fill it in with the `with_*` methods.
///
/// ```
/// use std::time::Duration;
/// use sorna_core::KernelInfo;
///
/// let info: KernelInfo = serde_json::from_str(
///     r#"{"lang": "c", "age": 3526.982, "memoryUsed": 16, "gpus": 2}"#,
/// )?;
/// assert_eq!(info.language(), Some("c"));
/// assert_eq!(info.age(), Some(Duration::from_micros(3_526_982)));
/// assert_eq!(info.memory_used(), Some(16 * 1024));
/// assert_eq!(info.extra()["gpus"], 2);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelInfo {
    #[serde(rename = "lang", skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    // Times in ms and memory in KiB, which may have fractions. Gateway 0.9.11 sends age and CPU time with a fraction, even
    // `110.0`, and the others as whole numbers.
    #[serde(rename = "age", skip_serializing_if = "Option::is_none")]
    age: Option<f64>,
    #[serde(
        rename = "queryTimeout",
        serialize_with = "count",
        skip_serializing_if = "Option::is_none"
    )]
    exec_timeout: Option<f64>,
    #[serde(
        rename = "idleTimeout",
        serialize_with = "count",
        skip_serializing_if = "Option::is_none"
    )]
    idle_timeout: Option<f64>,
    #[serde(
        rename = "memoryLimit",
        serialize_with = "count",
        skip_serializing_if = "Option::is_none"
    )]
    max_memory: Option<f64>,
    #[serde(
        rename = "maxCpuCredit",
        serialize_with = "count",
        skip_serializing_if = "Option::is_none"
    )]
    max_cpu_time: Option<f64>,
    #[serde(
        rename = "numQueriesExecuted",
        serialize_with = "count",
        skip_serializing_if = "Option::is_none"
    )]
    executions: Option<f64>,
    #[serde(
        rename = "idle",
        serialize_with = "count",
        skip_serializing_if = "Option::is_none"
    )]
    idle: Option<f64>,
    #[serde(
        rename = "memoryUsed",
        serialize_with = "count",
        skip_serializing_if = "Option::is_none"
    )]
    memory_used: Option<f64>,
    #[serde(rename = "cpuCreditUsed", skip_serializing_if = "Option::is_none")]
    cpu_time_used: Option<f64>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// The environment may hold secrets: its values are not shown.
impl fmt::Debug for KernelInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = serde_json::to_value(self).unwrap_or_default();
        let mut shown = f.debug_struct("KernelInfo");
        for (name, value) in fields.as_object().into_iter().flatten() {
            match name.as_str() {
                "environ" => shown.field(name, &format_args!("_")),
                _ => shown.field(name, &format_args!("{value}")),
            };
        }
        shown.finish()
    }
}

impl KernelInfo {
    /// Without any field.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The language; in Backend.AI, the name of the image.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref().or_else(|| self.image())
    }

    /// Time since it was created.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        duration(self.age?)
    }

    /// The most time for one execution.
    #[must_use]
    pub fn exec_timeout(&self) -> Option<Duration> {
        duration(self.exec_timeout?)
    }

    /// How long it may be idle before it is destroyed.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<Duration> {
        duration(self.idle_timeout?)
    }

    /// The most memory that it may use, in bytes.
    #[must_use]
    pub fn max_memory(&self) -> Option<u64> {
        Some(whole(self.max_memory? * 1024.0))
    }

    /// The most CPU time that it may use.
    #[must_use]
    pub fn max_cpu_time(&self) -> Option<Duration> {
        duration(self.max_cpu_time?)
    }

    /// How many executions it has had; may decrease on the original gateway.
    #[must_use]
    pub fn executions(&self) -> Option<u64> {
        Some(whole(self.executions?))
    }

    /// Time since it was last used. Gateway 0.9.11 sends µs where the manual says ms; [`Info`] knows that gateway, and
    /// reads it as what it is.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        duration(self.idle?)
    }

    /// Memory in use, in bytes.
    #[must_use]
    pub fn memory_used(&self) -> Option<u64> {
        Some(whole(self.memory_used? * 1024.0))
    }

    /// CPU time used.
    #[must_use]
    pub fn cpu_time_used(&self) -> Option<Duration> {
        duration(self.cpu_time_used?)
    }

    /// The other fields of the response, as they came. Those of Backend.AI are among them.
    #[must_use]
    pub fn extra(&self) -> &Map<String, Value> {
        &self.extra
    }

    /// With this [`language`](Self::language).
    #[must_use]
    pub fn with_language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
        self
    }

    /// With this [`age`](Self::age).
    #[must_use]
    pub fn with_age(mut self, time: Duration) -> Self {
        self.age = Some(milliseconds(time));
        self
    }

    /// With this [`exec_timeout`](Self::exec_timeout).
    #[must_use]
    pub fn with_exec_timeout(mut self, time: Duration) -> Self {
        self.exec_timeout = Some(milliseconds(time));
        self
    }

    /// What keeps the kernel busy, as gateways of `sorna serve` say; others say nothing. `None` also if nothing does.
    #[must_use]
    pub fn busy(&self) -> Option<Busy> {
        serde_json::from_value(self.extra.get("busy")?.clone()).ok()
    }

    /// With this [`busy`](Self::busy).
    #[must_use]
    pub fn with_busy(self, busy: &Busy) -> Self {
        match serde_json::to_value(busy) {
            Ok(busy) => self.with_extra("busy", busy),
            Err(_) => self,
        }
    }

    /// With this [`idle_timeout`](Self::idle_timeout).
    #[must_use]
    pub fn with_idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = Some(milliseconds(time));
        self
    }

    /// With this [`max_memory`](Self::max_memory).
    #[must_use]
    pub fn with_max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = Some(bytes as f64 / 1024.0);
        self
    }

    /// With this [`max_cpu_time`](Self::max_cpu_time).
    #[must_use]
    pub fn with_max_cpu_time(mut self, time: Duration) -> Self {
        self.max_cpu_time = Some(milliseconds(time));
        self
    }

    /// With this [`executions`](Self::executions).
    #[must_use]
    pub fn with_executions(mut self, count: u64) -> Self {
        self.executions = Some(count as f64);
        self
    }

    /// With this [`idle`](Self::idle).
    #[must_use]
    pub fn with_idle(mut self, time: Duration) -> Self {
        self.idle = Some(milliseconds(time));
        self
    }

    /// With this [`memory_used`](Self::memory_used).
    #[must_use]
    pub fn with_memory_used(mut self, bytes: u64) -> Self {
        self.memory_used = Some(bytes as f64 / 1024.0);
        self
    }

    /// With this [`cpu_time_used`](Self::cpu_time_used).
    #[must_use]
    pub fn with_cpu_time_used(mut self, time: Duration) -> Self {
        self.cpu_time_used = Some(milliseconds(time));
        self
    }

    /// With a field that has no method here.
    #[must_use]
    pub fn with_extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }
}

/// Writes a whole number as one.
fn count<S: serde::Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        // Up to here, each whole number is one in floating point, too.
        Some(number) if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 => {
            serializer.serialize_i64(*number as i64)
        }
        number => number.serialize(serializer),
    }
}

/// A time in ms; `None` if it is negative, or longer than can be expressed.
fn duration(milliseconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}

/// The nearest whole number.
fn whole(number: f64) -> u64 {
    // This conversion saturates at the bounds of the integer.
    number.round() as u64
}

/// Whether this is of gateway 0.9.11, which has `idle` in µs. (Observed.) It names itself, but a proxy may have replaced
/// that; then a kernel that was idle for longer than it exists tells, too.
fn has_idle_in_microseconds(info: &KernelInfo, success: &Success) -> bool {
    let server = success.headers().get(http::header::SERVER);
    let is_named = server.is_some_and(|name| name.as_bytes().starts_with(b"BackendAI-API/v2."));
    // The two may have been measured at different moments.
    let is_longer = |(idle, age)| idle > age + 1000.0;
    is_named || info.idle.zip(info.age).is_some_and(is_longer)
}

impl Operation for Info {
    type Output = KernelInfo;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => to_kernel(Method::GET, &self.kernel, 0),
            Dialect::BackendAi => to_session(Method::GET, &self.kernel, 0),
        }
    }

    fn read(&self, version: ApiVersion, success: &Success) -> Result<KernelInfo, Error> {
        let mut info: KernelInfo = success.json("a description of a kernel")?;
        if version.dialect() == Dialect::SornaV2 && has_idle_in_microseconds(&info, success) {
            info.idle = info.idle.map(|microseconds| microseconds / 1000.0);
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, signed};
    use super::*;

    #[test]
    fn fields_are_optional_and_unknown_ones_kept() {
        let operation = Info::new(kernel());
        let request = signed(&operation);
        assert_eq!(
            (request.method().as_str(), request.uri().path()),
            ("GET", "/v2/kernel/k1")
        );
        let info = operation
            .read_response(
                ApiVersion::default(),
                response(
                    200,
                    r#"{"lang": "c", "age": 3526.982, "gpus": ["a"], "idle": null}"#,
                ),
            )
            .unwrap()
            .value;
        assert_eq!(info.age(), Some(Duration::from_micros(3_526_982)));
        assert_eq!(info.idle(), None);
        assert_eq!(info.extra()["gpus"][0], "a");
        assert!(
            operation
                .read_response(ApiVersion::default(), response(200, "[]"))
                .is_err()
        );
    }

    #[test]
    fn the_idle_time_of_gateway_0_9_11_is_in_microseconds() {
        let read = |server: &str, body: &str| {
            let mut response = response(200, body);
            if !server.is_empty() {
                let server = http::HeaderValue::from_str(server).unwrap();
                response.headers_mut().insert("server", server);
            }
            let info = Info::new(kernel()).read_response(ApiVersion::default(), response);
            info.unwrap().value.idle().unwrap()
        };
        let original = "BackendAI-API/v2.20170315";
        let ms = Duration::from_millis;
        for (server, body, idle) in [
            // As seen: "Idle for 3 h 50 min" of a kernel 17 s old.
            (
                original,
                r#"{"age": 17000.5, "idle": 13800000}"#,
                ms(13_800),
            ),
            ("nginx", r#"{"age": 17000.5, "idle": 13800000}"#, ms(13_800)),
            (original, r#"{"age": 3600000.1, "idle": 50000}"#, ms(50)),
            (original, r#"{"idle": 50000}"#, ms(50)),
            ("", r#"{"age": 3600000.1, "idle": 50000}"#, ms(50_000)),
            ("", r#"{"age": 17, "idle": 17}"#, ms(17)),
            ("", r#"{"age": 17, "idle": 40}"#, ms(40)),
            ("", r#"{"idle": 40}"#, ms(40)),
        ] {
            assert_eq!(read(server, body), idle, "{server} {body}");
        }
    }

    #[test]
    fn counts_are_written_as_whole_numbers() {
        let second = Duration::from_secs(1);
        let info = KernelInfo::new()
            .with_language("c")
            .with_age(second)
            .with_exec_timeout(second * 30)
            .with_idle_timeout(second * 600)
            .with_max_memory(128 << 20)
            .with_max_cpu_time(second * 30)
            .with_executions(7)
            .with_idle(second)
            .with_memory_used(25_344 << 10)
            .with_cpu_time_used(second);
        assert_eq!(
            serde_json::to_string(&info).unwrap(),
            r#"{"lang":"c","age":1000.0,"queryTimeout":30000,"idleTimeout":600000,"memoryLimit":131072,"maxCpuCredit":30000,"numQueriesExecuted":7,"idle":1000,"memoryUsed":25344,"cpuCreditUsed":1000.0}"#
        );
        let info = KernelInfo::new().with_idle(Duration::from_micros(1500));
        assert_eq!(serde_json::to_string(&info).unwrap(), r#"{"idle":1.5}"#);
    }

    #[test]
    fn numbers_out_of_range_are_no_times_and_the_nearest_sizes() {
        let body = r#"{"age": -1, "idle": 1e300, "memoryUsed": -4, "memoryLimit": 1e300}"#;
        let info: KernelInfo = serde_json::from_str(body).unwrap();
        assert_eq!((info.age(), info.idle()), (None, None));
        assert_eq!(info.memory_used(), Some(0));
        assert_eq!(info.max_memory(), Some(u64::MAX));
    }

    #[test]
    fn a_client_reads_what_a_gateway_sets() {
        let second = Duration::from_secs(1);
        let info = KernelInfo::new()
            .with_language("c")
            .with_age(second)
            .with_exec_timeout(second * 2)
            .with_idle_timeout(second * 3)
            .with_max_memory(1 << 30)
            .with_max_cpu_time(second * 4)
            .with_executions(5)
            .with_idle(second * 6)
            .with_memory_used(7 << 20)
            .with_cpu_time_used(second * 8)
            .with_extra("gpus", 9);
        let read: KernelInfo =
            serde_json::from_value(serde_json::to_value(&info).unwrap()).unwrap();
        assert_eq!(read, info);
        assert_eq!(read.language(), Some("c"));
        let times = [
            read.age(),
            read.exec_timeout(),
            read.idle_timeout(),
            read.max_cpu_time(),
            read.idle(),
            read.cpu_time_used(),
        ];
        assert_eq!(
            times.map(|time| time.unwrap().as_secs()),
            [1, 2, 3, 4, 6, 8]
        );
        assert_eq!(read.max_memory(), Some(1 << 30));
        assert_eq!(
            (read.executions(), read.memory_used()),
            (Some(5), Some(7 << 20))
        );
        assert_eq!(read.extra()["gpus"], 9);
    }

    #[test]
    fn a_compressed_response_is_reported_as_such() {
        let mut zipped = response(200, "\u{1f}\u{8b}\u{8}");
        let coding = http::HeaderValue::from_static("gzip");
        zipped.headers_mut().insert("content-encoding", coding);
        let error = Info::new(kernel())
            .read_response(ApiVersion::default(), zipped)
            .unwrap_err();
        assert!(error.to_string().contains("Content-Encoding"), "{error}");
    }
}

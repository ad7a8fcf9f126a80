//! The order of what nodejs does next: ticks, promises, immediates.

use crate::compare::{compare, compare_in_one_kernel};
use crate::row::{Row, row};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("nodejs", "process.nextTick(() => console.log('t')); Promise.resolve().then(() => console.log('p')); console.log('m')"),
    row("nodejs", "Promise.resolve().then(() => { console.log('p1'); process.nextTick(() => console.log('t1')); queueMicrotask(() => console.log('q1')); }).then(() => console.log('p2')); process.nextTick(() => { console.log('t0'); Promise.resolve().then(() => console.log('p3')); process.nextTick(() => console.log('t2')); }); console.log('m')"),
    row("nodejs", "(async () => { console.log(1); process.nextTick(() => console.log('t')); await null; console.log(2); process.nextTick(() => console.log('u')); await null; console.log(3); })(); console.log('m'); queueMicrotask(() => console.log('q'))"),
];

#[test]
fn nodejs_goes_on_in_the_order_of_home() {
    compare(ROWS, "nodejs");
}

#[test]
fn kept_kernels_of_nodejs_go_on_in_the_order_of_home() {
    compare_in_one_kernel(ROWS, "nodejs");
}

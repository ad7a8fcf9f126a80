//! One body of checks, run against every driver.
//!
//! By default they run against a gateway of this repository, started for each check. With
//! `SORNA_TEST_ENDPOINT`, `SORNA_TEST_ACCESS_KEY` and `SORNA_TEST_SECRET_KEY` set, they run against
//! that gateway, and checks of features that only our gateway offers are skipped, with a message.
//! `SORNA_TEST_LACKS` lists further features that the gateway lacks, separated by commas (see
//! [`lab::Feature`]).

mod execute;
mod lab;
mod operations;
mod problems;
mod runs;
mod terminal;
mod uploads;

/// Defines the checks for each driver.
macro_rules! conformance {
    ($($module:ident: $($check:ident),+ $(,)?;)+) => {
        mod blocking {
            $(mod $module {
                $(#[test]
                fn $check() {
                    crate::lab::check::<sorna_tests::drivers::Blocking>(
                        stringify!($check),
                        crate::$module::$check,
                    );
                })+
            })+
        }
        mod tokio {
            $(mod $module {
                $(#[test]
                fn $check() {
                    crate::lab::check::<sorna_tests::drivers::Tokio>(
                        stringify!($check),
                        crate::$module::$check,
                    );
                })+
            })+
        }
        mod smol {
            $(mod $module {
                $(#[test]
                fn $check() {
                    crate::lab::check::<sorna_tests::drivers::Smol>(
                        stringify!($check),
                        crate::$module::$check,
                    );
                })+
            })+
        }
        mod async_std {
            $(mod $module {
                $(#[test]
                fn $check() {
                    crate::lab::check::<sorna_tests::drivers::AsyncStd>(
                        stringify!($check),
                        crate::$module::$check,
                    );
                })+
            })+
        }
    };
}

conformance! {
    operations:
        version_and_authorize,
        languages,
        custom_operation,
        streamed_response,
        created_kernels_have_tokens_of_their_own,
        get_or_create_by_token,
        info,
        restart,
        destroy,
        complete,
        error_responses,
        rate_limit_headers,
        connections_are_reused,
        requests_are_observed,
        keys_are_isolated;
    problems:
        every_type_is_reported,
        the_end_of_a_rate_limit_is_remembered;
    execute:
        state_and_order,
        unicode,
        exceptions,
        input,
        password,
        continued,
        exec_timeout,
        one_mebibyte_of_output,
        sixty_four_at_once,
        batch_with_three_files,
        build_failure,
        exit_codes,
        run_to_the_end,
        run_stops_programs_that_ask_for_input;
    uploads:
        a_hundred_files,
        empty_and_exactly_one_mebibyte,
        directories_and_odd_names,
        replaced_files;
    runs:
        to_the_end,
        failed_run_cleans_up,
        cancelled_run_cleans_up,
        dropped_run_cleans_up;
    terminal:
        echo,
        resize,
        restart_in_the_terminal,
        closed_with_the_kernel,
        error_response_is_reported,
        ten_mebibytes,
        slow_reader,
        fast_writer,
        several_clients,
        output_before_the_end,
        binary;
}

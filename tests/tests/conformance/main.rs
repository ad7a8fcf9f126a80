//! One body of checks, run against every driver in every dialect.
//!
//! By default they run against a gateway of this repository, started for each check. With
//! `SORNA_TEST_ENDPOINT`, `SORNA_TEST_ACCESS_KEY` and `SORNA_TEST_SECRET_KEY` set, they run against
//! that gateway: in the dialects that it speaks, without the checks of features that only our gateway offers.
//! `SORNA_TEST_LACKS` lists further features that the gateway lacks, separated by commas (see
//! [`lab::Feature`]). What is skipped is printed.

mod execute;
mod files;
mod foreign;
mod lab;
mod operations;
mod problems;
mod runs;
mod sessions;
mod terminal;
mod uploads;

/// Defines the checks of both dialects, and those that are also made without WebSockets, for each driver.
macro_rules! conformance {
    ({ $($checks:tt)+ } { $($executions:tt)+ }) => {
        mod sorna_v2 {
            drivers!(SornaV2: $($checks)+ $($executions)+);
        }
        mod backend_ai {
            drivers!(BackendAi: $($checks)+ $($executions)+);
        }
        mod backend_ai_polled {
            drivers!(BackendAiPolled: $($executions)+);
        }
    };
}

macro_rules! drivers {
    ($manner:ident: $($checks:tt)+) => {
        mod blocking {
            checks!($manner, Blocking: $($checks)+);
        }
        mod tokio {
            checks!($manner, Tokio: $($checks)+);
        }
        mod smol {
            checks!($manner, Smol: $($checks)+);
        }
        mod async_std {
            checks!($manner, AsyncStd: $($checks)+);
        }
    };
}

macro_rules! checks {
    ($manner:ident, $driver:ident:
        $($module:ident $(needs $($feature:ident)+)?:
            $($check:ident $(needs $($need:ident)+)?),+ $(,)?;)+
    ) => {
        $(mod $module {
            use crate::lab::Feature;

            const NEEDS: &[Feature] = &[$($(Feature::$feature),+)?];

            $(#[test]
            fn $check() {
                crate::lab::check::<sorna_tests::drivers::$driver>(
                    crate::lab::Manner::$manner,
                    &[NEEDS, &[$($(Feature::$need),+)?]].concat(),
                    stringify!($check),
                    crate::$module::$check,
                );
            })+
        })+
    };
}

conformance! {
    {
    operations:
        version_and_authorize,
        languages needs Languages,
        custom_operation needs Languages,
        streamed_response,
        created_kernels_have_tokens_of_their_own,
        get_or_create_by_token,
        info,
        restart needs Restart,
        destroy,
        complete needs Complete,
        error_responses,
        rate_limit_headers needs RateLimit,
        connections_are_reused needs Embedded,
        requests_are_observed,
        keys_are_isolated needs Isolation Embedded;
    problems:
        every_type_is_reported,
        the_end_of_a_rate_limit_is_remembered;
    uploads:
        a_hundred_files,
        empty_and_exactly_the_limit needs LargeFiles,
        directories_and_odd_names needs Directories,
        replaced_files;
    files needs Files:
        lists,
        files_and_directories_come_back,
        more_files_than_one_request_may_have,
        missing_files_are_named;
    sessions:
        several_by_name needs Names,
        names_are_reused_if_the_caller_agrees needs Names,
        lists_and_finds needs Names,
        renames needs Names,
        interrupts_keep_the_state needs Interrupts,
        programs_that_are_given_up_free_the_kernel needs Interrupts,
        logs needs Logs,
        status_history needs StatusHistory,
        events_of_all needs Events,
        events_of_one needs Events,
        environment needs Environment;
    terminal needs Terminal Bash:
        echo,
        backspace_erases_characters needs Embedded,
        resize,
        resize_that_is_undone needs Embedded,
        restart_in_the_terminal needs TerminalRestart,
        closed_with_the_kernel,
        error_response_is_reported,
        ten_mebibytes needs Floods,
        slow_reader,
        fast_writer,
        several_clients,
        output_before_the_end needs Floods,
        binary;
    }
    {
    execute:
        state_and_order,
        unicode,
        exceptions,
        input,
        password,
        continued,
        exec_timeout needs ExecTimeout,
        one_mebibyte_of_output needs Floods,
        sixty_four_at_once needs Bash Crowds,
        batch_with_three_files,
        build_failure,
        exit_codes needs ExitCodes,
        as_it_is_written needs Embedded,
        run_to_the_end,
        run_stops_programs_that_ask_for_input,
        input_in_a_batch,
        both_steps_of_a_batch needs ExitCodes;
    runs:
        to_the_end,
        both_steps_of_a_batch needs ExitCodes,
        failed_run_cleans_up,
        cancelled_run_cleans_up,
        dropped_run_cleans_up;
    }
}

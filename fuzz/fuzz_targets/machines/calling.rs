//! Single calls.

use std::fmt::Debug;

use sorna_core::machine::Call;
use sorna_core::{Error, Operation, Repeat, Reply, Sent};
use sorna_fuzz::check_error;

use crate::harness::Subject;
use crate::wire::Wire;

pub(crate) struct Calling<O: Operation> {
    pub(crate) call: Call<O>,
    pub(crate) repeat: Repeat,
}

impl<O: Operation<Output: Debug>> Subject for Calling<O> {
    type Machine = Call<O>;

    fn machine(&mut self) -> &mut Call<O> {
        &mut self.call
    }

    fn event(&mut self, event: std::convert::Infallible, _: &Wire) {
        match event {}
    }

    fn done(&mut self, output: Result<Reply<O::Output>, Error>, wire: &Wire) {
        match output {
            Ok(_) => assert!(
                wire.last_was_good || (wire.destroyed == Some(Some(404)) && wire.unclear > 0),
                "a success without a response for it"
            ),
            Err(error) => {
                check_error(&error);
                assert!(!wire.last_was_good, "the response was good: {error}");
                if let Error::MayHaveRun(failure) = &error {
                    assert_eq!(self.repeat, Repeat::IfUnsent);
                    assert_ne!(failure.sent(), Sent::Nothing);
                }
                if wire.execution_over {
                    let is_safe = matches!(error, Error::Transport(_));
                    assert!(!is_safe, "{error:?} sounds as if it had not run");
                }
            }
        }
    }
}

//! Executions that their clients mark, so that requests can be told apart: those that come once more since their response was
//! lost, and those of others.
//!
//! The response to the last request of an execution is kept until the next one shows that it has arrived. When another
//! execution begins, the one before it is kept as well, with what it has not reported: its client may come later.

use std::time::{Duration, Instant};

use sorna_core::{Console, ExecutionStatus, RunMark};

use super::console::push_lost;
use super::peer::Peer;
use super::response::{ExecuteError, ExecuteResponse};
use super::unclaimed::{MOST, Unclaimed};

/// For how long the last response of an execution is kept: clients try for two minutes.
const KEPT: Duration = Duration::from_secs(150);

pub(crate) type Response = Result<ExecuteResponse, ExecuteError>;

/// What is known of an execution and its requests.
#[derive(Debug)]
pub(crate) struct Record {
    /// Its ID; `None` if its client does not mark it.
    id: Option<String>,
    /// The number of the last request that was accepted.
    request: u64,
    /// The response to that, once there was one.
    kept: Option<Kept>,
    /// The end, if another execution has begun before that was fetched.
    rest: Option<Response>,
    /// Where its client sent the last request, if it marks them.
    peer: Option<Peer>,
    /// Whether what that has not received was left to others.
    is_left: bool,
    /// Whether it was started without a client.
    is_detached: bool,
    /// Whether it was started by another execution.
    has_attached: bool,
    /// Whether its WebSocket has to go.
    is_displaced: bool,
    /// Whether its client tells that the end has arrived: it goes on by requests since its WebSocket broke.
    confirms: bool,
}

/// A response that may not have arrived.
#[derive(Debug)]
struct Kept {
    response: Response,
    /// The bytes of its output, if that was too much to be kept.
    lost: usize,
    /// Whether all of it has been sent.
    is_sent: bool,
    /// Whether the client tells that it has arrived, even if nothing follows it.
    is_confirmed: bool,
    since: Instant,
}

/// What a request is.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub(crate) enum Known {
    /// It was answered, with this.
    Answered(Response),
    /// It was accepted, and not answered yet.
    Accepted,
    /// It is the next one.
    Next,
    /// It belongs to another execution.
    Other,
}

impl Record {
    /// Of an execution that begins with this request.
    pub(crate) fn new(mark: &RunMark, peer: Option<&Peer>) -> Self {
        Self {
            id: Some(mark.id.clone()),
            request: mark.request,
            kept: None,
            rest: None,
            peer: peer.filter(|_| !mark.is_detached).cloned(),
            is_left: false,
            is_detached: mark.is_detached,
            has_attached: false,
            is_displaced: false,
            confirms: mark.received.is_some(),
        }
    }

    /// Of one that takes the latest run over.
    pub(crate) fn attached(mark: &RunMark, peer: &Peer) -> Self {
        Self {
            has_attached: true,
            ..Self::new(mark, Some(peer))
        }
    }

    /// Of one without marks.
    pub(crate) fn unmarked() -> Self {
        Self {
            id: None,
            request: 0,
            kept: None,
            rest: None,
            peer: None,
            is_left: false,
            is_detached: false,
            has_attached: false,
            is_displaced: false,
            confirms: false,
        }
    }

    /// Its ID, if its client marks it.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether it has taken the run over from another one.
    pub(crate) fn has_attached(&self) -> bool {
        self.has_attached
    }

    /// Whether it has a client: one that is connected, or that was heard recently.
    pub(crate) fn has_client(&self, is_recent: bool) -> bool {
        let peer = self.peer.as_ref();
        peer.is_some_and(|peer| !peer.has_gone() || (is_recent && !peer.is_socket()))
    }

    /// The WebSocket of its client, if that is another connection than this, and still there.
    pub(crate) fn other_line(&self, peer: &Peer) -> Option<Peer> {
        let line = self.peer.as_ref();
        let line = line.filter(|it| it.is_socket() && !it.has_gone() && !it.is_same(peer));
        line.cloned()
    }

    /// Whether its client tells that the end has arrived.
    pub(crate) fn confirms(&self) -> bool {
        self.confirms
    }

    /// Its WebSocket has to go.
    pub(crate) fn displace(&mut self) {
        self.is_displaced = true;
    }

    /// Whether it has.
    pub(crate) fn is_displaced(&self) -> bool {
        self.is_displaced
    }

    /// Whether it is the execution with this ID.
    pub(crate) fn is_of(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }

    /// Whether its client marks it.
    pub(crate) fn is_marked(&self) -> bool {
        self.id.is_some()
    }

    /// It will be the execution before the current one, with an end that was not fetched.
    pub(crate) fn with_rest(mut self, rest: Option<Response>) -> Self {
        self.rest = rest;
        self
    }

    /// Takes the end that was not fetched.
    pub(crate) fn take_rest(&mut self) -> Option<Response> {
        self.rest.take()
    }

    /// As [`accept`](Self::accept), of what may be known.
    pub(crate) fn accept_in(record: &mut Option<Self>, mark: &RunMark, peer: &Peer) -> Known {
        let known = record.as_mut().map(|record| record.accept(mark, peer));
        known.unwrap_or(Known::Other)
    }

    /// Finds out what a request is, and accepts it if it is the next one: then what was kept has arrived.
    fn accept(&mut self, mark: &RunMark, peer: &Peer) -> Known {
        if !self.is_of(&mark.id) {
            return Known::Other;
        }
        // Of one that is only started, the same connection may be kept for anything else.
        if mark.request > 0 || !self.is_detached {
            self.peer = Some(peer.clone());
        }
        self.is_displaced = false;
        self.confirms |= mark.received.is_some();
        if mark.request > self.request {
            self.request = mark.request;
            self.kept = None;
            return match self.rest.take() {
                Some(rest) => Known::Answered(self.keep(rest)),
                None => Known::Next,
            };
        }
        match &mut self.kept {
            _ if mark.request < self.request => Known::Answered(Err(ExecuteError::Failed(
                "a later request of the same execution was answered already".to_owned(),
            ))),
            Some(kept) => Known::Answered(kept.again()),
            None => Known::Accepted,
        }
    }

    /// Keeps a response, and gives it to be sent.
    pub(crate) fn keep(&mut self, mut response: Response) -> Response {
        let is_too_much = response
            .as_mut()
            .is_ok_and(|response| response.is_too_much());
        let (kept, sent, lost) = match response {
            Ok(response) if is_too_much => {
                let lost = response.console.output_len();
                (Ok(response.without_console()), Ok(response), lost)
            }
            Ok(mut response) => {
                // What is kept counts as output that was not fetched.
                let held = response.held.take();
                let mut kept = response.copy();
                kept.held = held;
                (Ok(kept), Ok(response), 0)
            }
            Err(error) => (Err(error.clone()), Err(error), 0),
        };
        let since = Instant::now();
        self.kept = Some(Kept {
            response: kept,
            lost,
            is_sent: false,
            is_confirmed: self.confirms,
            since,
        });
        sent
    }

    /// Forgets a response that was kept for long enough. One that has not been received stays, as other output does that was
    /// not fetched.
    pub(crate) fn forget(&mut self) {
        let is_lost = self.peer.as_ref().is_some_and(Peer::has_lost);
        self.kept
            .take_if(|kept| kept.since.elapsed() >= KEPT && !kept.has_news() && !is_lost);
    }

    /// Whether its client is known to have gone.
    pub(crate) fn has_gone(&self) -> bool {
        let peer = self.peer.as_ref();
        peer.map_or(self.is_detached, Peer::has_gone)
    }

    /// Whether the last response is just being sent, to another connection than this.
    pub(crate) fn is_sending(&self, peer: &Peer) -> bool {
        let other = self.peer.as_ref();
        let other = other.filter(|it| !it.has_gone() && !it.is_same(peer));
        other.is_some() && self.kept.as_ref().is_some_and(|kept| !kept.is_sent)
    }

    /// Takes the last response, if its client has not received it, as far as is known. It has if this is its connection.
    pub(crate) fn take_unreceived(&mut self, peer: &Peer) -> Option<Response> {
        let own = self.peer.as_ref();
        let is_lost = own.is_some_and(Peer::has_lost);
        let is_same = own.is_some_and(|own| own.is_same(peer));
        let kept = self.kept.as_mut().filter(|_| !is_same);
        let kept = kept.filter(|kept| kept.may_be_missed() || is_lost)?;
        let response = kept.again();
        self.kept = None;
        Some(response)
    }

    /// Notes that all of the response to a request has been sent.
    pub(crate) fn note_sent(&mut self, id: &str, request: u64) {
        let is_last = self.is_of(id) && self.request == request;
        if let Some(kept) = self.kept.as_mut().filter(|_| is_last) {
            kept.is_sent = true;
        }
    }

    /// The last response is kept elsewhere from now on.
    pub(crate) fn pass_on(&mut self) {
        self.kept = None;
    }

    /// Leaves the output that its client has not received to others. Whatever else there is to report stays for it.
    pub(crate) fn leave(&mut self, unclaimed: &mut Unclaimed) {
        if std::mem::replace(&mut self.is_left, true) {
            return;
        }
        let is_lost = self.peer.as_ref().is_some_and(Peer::has_lost);
        let news = self.kept.as_mut();
        let news = news.filter(|kept| kept.has_news() || is_lost);
        if let Some(kept) = news {
            unclaimed.add_lost(std::mem::take(&mut kept.lost));
            kept.response.leave(unclaimed);
        }
        if let Some(rest) = &mut self.rest {
            rest.leave(unclaimed);
            // Of others, the client was there when it began, and may come for the end.
            if let (true, Ok(response)) = (self.is_detached, &*rest)
                && let (true, Some(code)) = (response.status.is_end(), response.exit_code)
            {
                unclaimed.add_end(code);
            }
        }
    }
}

impl Kept {
    /// Whether it has output that may not have been received. If more was to come, its client would have asked for that.
    fn has_news(&self) -> bool {
        let Ok(response) = &self.response else {
            return false;
        };
        let has_output = self.lost > 0 || !response.console.is_empty();
        let is_last = response.status.is_end() || response.status == ExecutionStatus::WaitingInput;
        has_output && !(is_last && self.is_sent && !self.is_confirmed)
    }

    /// Whether it may not have been received, and says anything. If more was to come, its client would have asked for that.
    fn may_be_missed(&self) -> bool {
        match &self.response {
            Err(ExecuteError::Failed(_)) => !self.is_sent,
            Err(_) => false,
            Ok(response) if response.status.is_end() => !self.is_sent || self.is_confirmed,
            Ok(response) if response.status == ExecutionStatus::Continued => self.has_news(),
            Ok(_) => !self.is_sent || self.has_news(),
        }
    }

    /// The response, once more.
    fn again(&mut self) -> Response {
        let mut response = self.response.as_ref().map_err(Clone::clone)?.copy();
        response.is_repeated = true;
        if self.lost > 0 {
            let why = "since the connection broke while they were sent";
            push_lost(&mut response.console, self.lost, why);
        }
        Ok(response)
    }
}

/// What a client has not received.
trait Leave {
    fn leave(&mut self, unclaimed: &mut Unclaimed);
}

impl Leave for Response {
    fn leave(&mut self, unclaimed: &mut Unclaimed) {
        let Ok(response) = self else { return };
        let console = std::mem::take(&mut response.console);
        let bytes = console.output_len();
        unclaimed.add(console, response.held.take());
        let why = "since its client had gone, and the next one has got them";
        if bytes > 0 {
            push_lost(&mut response.console, bytes, why);
        }
    }
}

impl ExecuteResponse {
    /// The same, which counts as no output that is held.
    fn copy(&self) -> Self {
        Self {
            console: self.console.clone(),
            ..self.without_console()
        }
    }

    fn without_console(&self) -> Self {
        Self {
            status: self.status.clone(),
            console: Console::new(),
            exit_code: self.exit_code,
            options: self.options.clone(),
            is_repeated: false,
            held: None,
        }
    }

    /// Whether it is too much to be kept: it has media, which are far larger than what consoles hold of text, or there is
    /// no room, so that others would wait as long as it is kept.
    fn is_too_much(&mut self) -> bool {
        let held = self.held.as_mut();
        held.is_some_and(|held| held.bytes() > MOST || !held.settle())
    }
}

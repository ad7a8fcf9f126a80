//! Name look-ups, remembered for a while.
//!
//! ureq resolves the name before each request, even if it then takes an idle connection, and on a
//! new thread where there is a time limit. That costs more than the request, so the result is kept.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Authority;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::lock::lock;

/// How long a result is used.
const LIFETIME: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct CachingResolver {
    resolver: DefaultResolver,
    known: Mutex<HashMap<Authority, Known>>,
}

struct Known {
    since: Instant,
    addresses: ResolvedSocketAddrs,
}

impl CachingResolver {
    fn copy(&self, addresses: &ResolvedSocketAddrs) -> ResolvedSocketAddrs {
        let mut copy = self.empty();
        for address in addresses.iter() {
            copy.push(*address);
        }
        copy
    }
}

impl Resolver for CachingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let Some(authority) = uri.authority() else {
            return self.resolver.resolve(uri, config, timeout);
        };
        if let Some(known) = lock(&self.known).get(authority)
            && known.since.elapsed() < LIFETIME
        {
            return Ok(self.copy(&known.addresses));
        }
        let addresses = self.resolver.resolve(uri, config, timeout)?;
        let known = Known {
            since: Instant::now(),
            addresses: self.copy(&addresses),
        };
        lock(&self.known).insert(authority.clone(), known);
        Ok(addresses)
    }
}

impl fmt::Debug for CachingResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachingResolver").finish_non_exhaustive()
    }
}

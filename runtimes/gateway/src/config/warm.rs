//! Kernels that are kept in stock.

use std::time::Duration;

use super::GatewayConfig;

/// Kernels that are started before a client asks for them.
impl GatewayConfig {
    /// Sets how many kernels of a language, by its name or an alias, are kept in stock: none by default. Who creates a kernel
    /// of this language gets one of them, and need not wait for its interpreter to start; unless its memory, cores or
    /// environment are to be others than usual. A language that is not in the [table](Self::with_languages) has none.
    ///
    /// Such kernels are made when kernels of this language have been created lately, one at a time, while no program runs in
    /// any kernel, but for those that wait for input and those in terminals. They are no one's, and count against no limit.
    ///
    /// ```
    /// # use sorna_gateway::GatewayConfig;
    /// let config = GatewayConfig::new()
    ///     .with_warm_kernels("python3", 2)
    ///     .with_warm_kernels("ruby", 1)
    ///     .with_warm_kernels("ruby", 0);
    /// assert_eq!(config.warm_kernels(), [("python3", 2)]);
    /// ```
    #[must_use]
    pub fn with_warm_kernels(mut self, language: impl Into<String>, count: usize) -> Self {
        self.warm_kernels.push((language.into(), count));
        self
    }

    /// The languages of which kernels are kept in stock, by their names, and how many.
    #[must_use]
    pub fn warm_kernels(&self) -> Vec<(&str, usize)> {
        let mut all: Vec<(&str, usize)> = Vec::new();
        for (name, count) in &self.warm_kernels {
            let Some(name) = self.languages.canonical(name) else {
                continue;
            };
            all.retain(|(other, _)| *other != name);
            all.push((name, *count));
        }
        all.retain(|(_, count)| *count > 0);
        all
    }

    /// Sets how long a kernel is kept in stock that no one asks for, and how long after the last kernel of its language was
    /// created it may still be made: 10 min by default.
    #[must_use]
    pub fn with_warm_time(mut self, time: Duration) -> Self {
        self.warm_time = time;
        self
    }

    /// How long a kernel is kept in stock that no one asks for.
    #[must_use]
    pub fn warm_time(&self) -> Duration {
        self.warm_time
    }
}

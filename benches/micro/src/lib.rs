//! Nothing but benchmarks is here.

//! Every defect that verification must find, and some things that look like one and are none.

mod afterwards;
mod case_folder;
mod chains;
mod deletions;
mod digests;
mod forged;
mod keys;
mod logs;
mod opponent;
mod runs;
mod scope;
mod sealed;
mod signed_digests;
mod signers;
mod switches;
mod times;
mod unfetched;
mod versions;

use std::sync::LazyLock;

use caselock::sim::Scenario;
use caselock::verify::Report;

use crate::memory_case::{Collection, MemoryCase, quiet, stopped};

/// One defect: what is done, and of which kinds the findings are.
pub(crate) struct Defect {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) failures: &'static [&'static str],
    /// The kinds of gaps and notices.
    pub(crate) others: &'static [&'static str],
    make: Make,
}

enum Make {
    /// Something is done to ten quiet hours in two regions, or to how they are collected.
    Quiet(fn(&mut Collection)),
    /// The same, with the trail switched off for two hours.
    Stopped(fn(&mut Collection)),
    /// Something is done to an untouched case.
    Case(fn(&mut MemoryCase)),
    /// Something else.
    Own(fn() -> Report),
}

pub(crate) static DEFECTS: LazyLock<Vec<Defect>> = LazyLock::new(|| {
    let mut all = Vec::new();
    all.extend(deletions::all());
    all.extend(forged::all());
    all.extend(logs::all());
    all.extend(digests::all());
    all.extend(signed_digests::all());
    all.extend(chains::all());
    all.extend(keys::all());
    all.extend(versions::all());
    all.extend(times::all());
    all.extend(unfetched::all());
    all.extend(opponent::all());
    all.extend(runs::all());
    all.extend(switches::all());
    all.extend(scope::all());
    all.extend(afterwards::all());
    all.extend(case_folder::all());
    all.extend(sealed::all());
    all.extend(signers::all());
    all
});

impl Defect {
    pub(crate) fn report(&self) -> Report {
        let collected = |scenario: &Scenario, tamper: fn(&mut Collection)| {
            let mut collection = Collection::of(scenario);
            tamper(&mut collection);
            collection.report()
        };
        match self.make {
            Make::Quiet(tamper) => collected(&quiet(), tamper),
            Make::Stopped(tamper) => collected(&stopped(), tamper),
            Make::Case(tamper) => {
                let mut case = Collection::of(&quiet()).case();
                tamper(&mut case);
                case.verify()
            }
            Make::Own(make) => make(),
        }
    }
}

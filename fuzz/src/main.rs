//! Feeds every target, or those that are named, mutated inputs for so many seconds: `fuzz/run [SECONDS] [TARGET]...`.

mod mutation;
mod targets;

use std::time::{Duration, Instant};

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let seconds = words.iter().position(|word| word.parse::<u64>().is_ok()).map_or(60, |at| words.remove(at).parse().unwrap());
    let chosen = targets::chosen(&words).unwrap_or_else(|word| {
        let known: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no target `{word}` in this build; there are {}", known.join(", "));
        std::process::exit(2);
    });
    let scratch = std::env::temp_dir().join(format!("caselock-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    for (name, target) in chosen {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let corpus: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
        let seed = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap();
        let mut chance = mutation::Chance::new(seed);
        let (begun, mut inputs) = (Instant::now(), 0_u64);
        while begun.elapsed() < Duration::from_secs(seconds) {
            for _ in 0..100 {
                let input = chance.input(&corpus);
                // What makes it fail is kept, so that it can be tried again and join the corpus.
                if std::panic::catch_unwind(|| target(&input, &scratch)).is_err() {
                    let path = format!("crash-{name}-{seed}-{inputs}");
                    std::fs::write(&path, &input).unwrap();
                    eprintln!("{name}: the input is in {path}");
                    std::process::exit(1);
                }
                inputs += 1;
            }
        }
        println!("{name}: {inputs} inputs in {seconds} s");
    }
    std::fs::remove_dir_all(scratch).unwrap();
}

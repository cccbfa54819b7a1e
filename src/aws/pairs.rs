//! Small bodies are hashed two at a time, because two hashes side by side take less time than one after the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::content::{Hashed, hash, hash_both};

/// Where a body waits for another one to be hashed with.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    place: Arc<Mutex<Place>>,
}

#[derive(Debug, Default)]
struct Place {
    waiting: Option<Waiting>,
    /// How many bodies have waited.
    number: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    body: Vec<u8>,
    hashed: oneshot::Sender<Hashed>,
}

impl Pairs {
    /// Hashes a body, beside another if there is one by the time that it is this task's turn again. None when the program is ending.
    pub(super) async fn hash(&self, body: Vec<u8>) -> Option<Hashed> {
        let (hashed, waiting) = oneshot::channel();
        let number = match self.find(body, hashed) {
            Ok((mine, other)) => {
                let (mine, others) = hash_both(mine, other.body);
                // Its task was cancelled if nobody takes it.
                let _taken = other.hashed.send(others);
                return Some(mine);
            }
            Err(number) => number,
        };
        // What else has come in meanwhile goes first.
        tokio::task::yield_now().await;
        match self.take(number) {
            Some(alone) => Some(hash(alone.body)),
            None => waiting.await.ok(),
        }
    }

    /// The body that waits; where there is none, this one does from now on, under a number.
    fn find(&self, body: Vec<u8>, hashed: oneshot::Sender<Hashed>) -> Result<(Vec<u8>, Waiting), u64> {
        let mut place = self.place();
        if let Some(other) = place.waiting.take() {
            return Ok((body, other));
        }
        place.number = place.number.wrapping_add(1);
        let number = place.number;
        place.waiting = Some(Waiting { number, body, hashed });
        Err(number)
    }

    /// The body with that number, if it still waits.
    fn take(&self, number: u64) -> Option<Waiting> {
        self.place().waiting.take_if(|waiting| waiting.number == number)
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use crate::model::Sha256Hash;

    use super::*;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// Bodies of every kind, and what they unpack to.
    fn bodies() -> Vec<(Vec<u8>, Option<Sha256Hash>)> {
        let mut bodies = vec![(Vec::new(), None), (b"no gzip".to_vec(), None)];
        for size in [0, 1, 64, 1000, 100_000, 600_000, 2_000_000] {
            let content = vec![b'x'; size];
            bodies.push((packed(&content), Some(Sha256Hash::of(&content))));
        }
        let (whole, _) = &bodies[5];
        let cut = whole[..whole.len() - 1].to_vec();
        bodies.push((cut, None));
        bodies
    }

    #[test]
    fn a_body_has_the_same_hashes_beside_any_other() {
        for (one, one_content) in bodies() {
            for (other, other_content) in bodies() {
                let (first, second) = hash_both(one.clone(), other.clone());
                assert_eq!((first.0.bytes(), first.0.sha256(), first.1), (&*one, Sha256Hash::of(&one), one_content));
                assert_eq!((second.0.bytes(), second.0.sha256(), second.1), (&*other, Sha256Hash::of(&other), other_content));
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn everybody_gets_his_own_back_however_many_there_are() {
        let (pairs, bodies) = (Pairs::default(), bodies());
        for count in [1, 2, 3, 50] {
            let mut tasks = tokio::task::JoinSet::new();
            for (body, content) in bodies.iter().cycle().take(count).cloned() {
                let pairs = pairs.clone();
                tasks.spawn(async move {
                    let (bytes, content_sha256) = pairs.hash(body.clone()).await.unwrap();
                    assert_eq!((bytes.bytes(), bytes.sha256(), content_sha256), (&*body, Sha256Hash::of(&body), content));
                });
            }
            while let Some(ended) = tasks.join_next().await {
                ended.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_task_that_is_cancelled_while_its_body_waits_holds_nobody_up() {
        let pairs = Pairs::default();
        let waiting = tokio::spawn({
            let pairs = pairs.clone();
            async move { pairs.hash(b"one".to_vec()).await }
        });
        tokio::task::yield_now().await;
        waiting.abort();
        let (bytes, _) = pairs.hash(b"two".to_vec()).await.unwrap();
        assert_eq!(bytes.bytes(), b"two");
    }
}

//! Clients that begin together.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// One client.
pub(crate) type Client<'a, T> = Box<dyn FnOnce() -> Result<T> + Send + 'a>;

/// Runs each client on a thread of its own, from one moment on. Returns what each came to and how
/// long the last of them took, or the first error once all have ended.
pub(crate) fn run<T: Send>(clients: Vec<Client<'_, T>>) -> Result<(Vec<T>, Duration)> {
    let start = &Barrier::new(clients.len() + 1);
    thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .map(|client| {
                scope.spawn(move || {
                    start.wait();
                    client()
                })
            })
            .collect();
        start.wait();
        let began = Instant::now();
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        let took = began.elapsed();
        let results = ended
            .into_iter()
            .map(|result| result.unwrap_or_else(|_| Err(anyhow!("a client panicked"))));
        Ok((results.collect::<Result<_>>()?, took))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_begin_together_and_are_waited_for() {
        let met = &Barrier::new(3);
        let client = |number: u32| -> Client<'_, u32> {
            Box::new(move || {
                met.wait();
                Ok(number)
            })
        };
        assert_eq!(run((0..3).map(client).collect()).unwrap().0, [0, 1, 2]);
    }

    #[test]
    fn one_error_is_enough() {
        let client = |number: u32| -> Client<'_, u32> {
            Box::new(move || {
                if number == 1 {
                    Err(anyhow!("no"))
                } else {
                    Ok(number)
                }
            })
        };
        assert_eq!(
            run((0..3).map(client).collect()).unwrap_err().to_string(),
            "no"
        );
    }
}

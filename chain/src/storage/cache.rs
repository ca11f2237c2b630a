//! Contract code in memory, analysed once.

use alloy_primitives::B256;
use alloy_primitives::map::B256Map;
use parking_lot::Mutex;
use revm::bytecode::Bytecode;

/// Most bytes of code per generation; there are two. Contracts have at most 24 KiB, so at least
/// some hundred are in memory.
const GENERATION_BYTES: usize = 8 * 1024 * 1024;

/// Code by hash. When the young generation is full it becomes the old one, and what nobody asked
/// for since the last time is dropped.
#[derive(Default)]
pub(super) struct CodeCache(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: B256Map<Bytecode>,
    old: B256Map<Bytecode>,
    bytes: usize,
}

impl CodeCache {
    pub(super) fn get(&self, hash: &B256) -> Option<Bytecode> {
        let mut generations = self.0.lock();
        if let Some(code) = generations.young.get(hash) {
            return Some(code.clone());
        }
        let code = generations.old.remove(hash)?;
        let gone = generations.insert(*hash, code.clone());
        drop(generations);
        drop(gone);
        Some(code)
    }

    pub(super) fn insert(&self, hash: B256, code: Bytecode) {
        let gone = self.0.lock().insert(hash, code);
        drop(gone);
    }
}

impl Generations {
    /// Returns what is dropped. Freeing it takes longer than all else: to be done without the lock, for which the making
    /// of blocks may wait.
    fn insert(&mut self, hash: B256, code: Bytecode) -> B256Map<Bytecode> {
        self.bytes += code.len();
        self.young.insert(hash, code);
        if self.bytes <= GENERATION_BYTES {
            return B256Map::default();
        }
        self.bytes = 0;
        let young = std::mem::take(&mut self.young);
        std::mem::replace(&mut self.old, young)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_asked_for_and_stays_bounded() {
        let cache = CodeCache::default();
        let code = Bytecode::new_legacy(vec![0; 1024 * 1024].into());
        cache.insert(B256::ZERO, code.clone());
        for i in 1..100u8 {
            cache.insert(B256::repeat_byte(i), code.clone());
            assert!(cache.get(&B256::ZERO).is_some(), "asked for all the time");
            let generations = cache.0.lock();
            assert!(generations.young.len() + generations.old.len() <= 20);
        }
        assert!(cache.get(&B256::repeat_byte(1)).is_none());
    }
}

// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// smallBatch is the largest batch that is worked on without allocating.
const smallBatch = 4

// item is a claim of a batch on its way through the store.
type item struct {
	hash, hi, lo uint64
	// i is the claim's place in the batch, first the place in the items of the first
	// claim with its key.
	i, first int
	// notAfter is in seconds after the store was made. Claim has checked that it fits;
	// Release does not look at it.
	notAfter uint32
	domain   uint32
}

// items appends the batch to dst, in the order of shards, so that locks are taken in
// one order by all, and with equal keys next to each other, in the order of the batch.
func (m *Memory) items(dst []item, batch []Claim) []item {
	dst = slices.Grow(dst, len(batch))[:len(batch)]
	for i := range batch {
		hi := binary.BigEndian.Uint64(batch[i].Key[:8])
		lo := binary.BigEndian.Uint64(batch[i].Key[8:16])
		it := &dst[i]
		it.hash, it.hi, it.lo, it.i = hash(&m.seed, hi, lo), hi, lo, i
		it.notAfter = uint32(m.ahead(batch[i].NotAfter))
	}
	if len(dst) < 2 {
		return dst
	}
	slices.SortFunc(dst, func(a, b item) int {
		if c := cmp.Compare(a.hash, b.hash); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo), cmp.Compare(a.i, b.i))
	})
	for k := 1; k < len(dst); k++ {
		dst[k].first = k
		if dst[k].hi == dst[k-1].hi && dst[k].lo == dst[k-1].lo {
			dst[k].first = dst[k-1].first
		}
	}
	return dst
}

// lock locks the shards of the items, each once, and moves them to now.
func (m *Memory) lock(items []item, now uint32) {
	last := -1
	for k := range items {
		if n := shardOf(items[k].hash); n != last {
			m.shards[n].mu.Lock()
			m.shards[n].advance(now)
			last = n
		}
	}
}

func (m *Memory) unlock(items []item) {
	last := -1
	for k := range items {
		if n := shardOf(items[k].hash); n != last {
			m.shards[n].mu.Unlock()
			last = n
		}
	}
}

func (m *Memory) shard(it *item) *shard { return &m.shards[shardOf(it.hash)] }

// claim is one attempt at a batch, with all its shards locked.
func (m *Memory) claim(batch []Claim, items []item, outcomes []Outcome, once bool, now uint32) error {
	m.lock(items, now)
	defer m.unlock(items)
	refused := false
	for k := range items {
		it := &items[k]
		s := m.shard(it)
		// The shard may have been moved on by another call meanwhile, and what it has
		// forgotten since is not known to be fresh.
		if it.notAfter < s.now {
			return ErrExpired
		}
		o := s.look(it, batch[it.i].Digest)
		if it.first != k {
			if first := &items[it.first]; batch[it.i].Digest == batch[first.i].Digest {
				o = outcomes[first.i]
			} else {
				o = Conflict
			}
		}
		outcomes[it.i] = o
		refused = refused || o == Conflict || o == Same && once
	}
	if refused {
		return nil
	}
	if err := m.quota.reserve(batch, items, outcomes); err != nil {
		return err
	}
	for k := range items {
		it := &items[k]
		s := m.shard(it)
		switch {
		case it.first == k && outcomes[it.i] == Fresh:
			s.insert(it, batch[it.i].Digest)
		default:
			s.extend(it)
		}
	}
	return nil
}

// look answers for a key that comes first in its batch. A claim that has ended is
// cleared here and now, so that none is in the way of the next with its key.
func (s *shard) look(it *item, d Digest) Outcome {
	pos := s.find(it)
	if pos == 0 {
		return Fresh
	}
	e := s.at(pos)
	switch {
	case e.notAfter < s.now:
		gone := refund{quota: s.quota}
		gone.add(s.remove(pos, it.hash))
		gone.flush()
		return Fresh
	case e.digest == d:
		return Same
	}
	return Conflict
}

// release gives back what it can of a batch, with all its shards locked.
func (m *Memory) release(batch []Claim, items []item, now uint32) {
	m.lock(items, now)
	defer m.unlock(items)
	gone := refund{quota: &m.quota}
	defer gone.flush()
	for k := range items {
		it := &items[k]
		s := m.shard(it)
		if pos := s.find(it); pos != 0 && s.at(pos).digest == batch[it.i].Digest {
			gone.add(s.remove(pos, it.hash))
		}
	}
}

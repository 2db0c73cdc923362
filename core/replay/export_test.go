// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import "fmt"

// Entry and Shard are for their sizes.
type (
	Entry = entry
	Shard = shard
)

const (
	// ShardCount is how many shards there are.
	ShardCount = shardCount
	// BlockSize is how many entries are taken from an arena at once.
	BlockSize = blockSize
)

// Domains returns how many trust domains are counted, and how many numbers they take.
func (m *Memory) Domains() (counted, numbers int) {
	m.quota.mu.Lock()
	defer m.quota.mu.Unlock()
	return len(m.quota.ids), len(m.quota.domains) - 1
}

// Positions returns how many entries the arenas have ever had room for at once.
func (m *Memory) Positions() int {
	n := 0
	for i := range m.shards {
		m.shards[i].mu.Lock()
		n += max(len(m.shards[i].under)-1, 0) * blockSize
		m.shards[i].mu.Unlock()
	}
	return n
}

// Held returns how many entries there are, also those that have ended.
func (m *Memory) Held() int {
	n := 0
	for i := range m.shards {
		m.shards[i].mu.Lock()
		n += int(m.shards[i].held)
		m.shards[i].mu.Unlock()
	}
	return n
}

// Check tells whether index, wheel, arena and counts agree. It is for a store at rest.
func (m *Memory) Check() error {
	signed, unsigned := 0, 0
	domains := make(map[uint32]int)
	for i := range m.shards {
		s := &m.shards[i]
		if err := s.check(i); err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
		for _, w := range s.index {
			if w == 0 {
				continue
			}
			if d := s.at(w & posMask).domain; d == unsignedDomain {
				unsigned++
			} else {
				signed++
				domains[d]++
			}
		}
	}
	if signed != m.quota.signed || unsigned != m.quota.unsigned {
		return fmt.Errorf("%d signed and %d unsigned entries, counted are %d and %d", signed, unsigned, m.quota.signed, m.quota.unsigned)
	}
	if len(m.quota.ids) != len(domains) || len(domains)+len(m.quota.free)+1 != len(m.quota.domains) {
		return fmt.Errorf("%d domains have entries, %d are counted, %d numbers are free of %d", len(domains), len(m.quota.ids), len(m.quota.free), len(m.quota.domains)-1)
	}
	for name, id := range m.quota.ids {
		if d := m.quota.domains[id]; d.name != name || d.live != domains[id] {
			return fmt.Errorf("domain %q has %d entries, counted are %d as %q", name, domains[id], d.live, d.name)
		}
	}
	return nil
}

func (s *shard) check(number int) error {
	indexed := uint32(0)
	for _, w := range s.index {
		if w == 0 {
			continue
		}
		indexed++
		e := s.at(w & posMask)
		h := hash(&s.seed, e.hi, e.lo)
		if shardOf(h) != number {
			return fmt.Errorf("entry of shard %d", shardOf(h))
		}
		if got := s.find(&item{hash: h, hi: e.hi, lo: e.lo}); got != w&posMask {
			return fmt.Errorf("entry %d is found at %d", w&posMask, got)
		}
		if e.notAfter>>tickBits < s.now>>tickBits {
			return fmt.Errorf("entry ended at %d, and it is %d", e.notAfter, s.now)
		}
	}
	if indexed != s.held {
		return fmt.Errorf("%d entries in the index, counted are %d", indexed, s.held)
	}
	return s.checkBlocks()
}

// checkBlocks tells whether each entry is in the slot it belongs to, and each block in
// one slot or free.
func (s *shard) checkBlocks() error {
	if s.wheel == nil {
		return nil
	}
	if s.wheel.tick != s.now>>tickBits {
		return fmt.Errorf("the wheel is at tick %d, and it is %d", s.wheel.tick, s.now>>tickBits)
	}
	in := make([]bool, len(s.under))
	in[0] = true
	take := func(block uint32) error {
		if in[block] {
			return fmt.Errorf("block %d is in two places", block)
		}
		in[block] = true
		return nil
	}
	filed := uint32(0)
	for level := range uint32(levels) {
		for slot := range uint32(slots) {
			for end := s.wheel.ends[level][slot]; end != 0; {
				block := (end - 1) / blockSize
				if err := take(block); err != nil {
					return err
				}
				for pos := block * blockSize; pos < end; pos++ {
					filed++
					if l, n := slotOf(s.at(pos).notAfter>>tickBits, s.wheel.tick); l != level || n != slot {
						return fmt.Errorf("slot %d of level %d: entry of slot %d of level %d", slot, level, n, l)
					}
				}
				end = s.under[block] * blockSize
			}
		}
	}
	if filed != s.held {
		return fmt.Errorf("%d entries in the wheel, %d held", filed, s.held)
	}
	for block := s.free; block != 0; block = s.under[block] {
		if err := take(block); err != nil {
			return err
		}
	}
	for block := range in {
		if !in[block] {
			return fmt.Errorf("block %d is lost", block)
		}
	}
	return nil
}

// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import "fmt"

// Entry and Shard are for their sizes.
type (
	Entry = entry
	Shard = shard
)

// Domains returns how many trust domains are counted, and how many numbers they take.
func (m *Memory) Domains() (counted, numbers int) {
	m.quota.mu.Lock()
	defer m.quota.mu.Unlock()
	return len(m.quota.ids), len(m.quota.domains) - 1
}

// Positions returns how many entries the arenas have ever had at once.
func (m *Memory) Positions() int {
	n := 0
	for i := range m.shards {
		m.shards[i].mu.Lock()
		n += int(m.shards[i].used)
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
	live := uint32(0)
	for _, w := range s.index {
		if w == 0 {
			continue
		}
		live++
		e := s.at(w & posMask)
		h := hash(&s.seed, e.hi, e.lo)
		if shardOf(h) != number {
			return fmt.Errorf("entry of shard %d", shardOf(h))
		}
		if got := s.find(&item{hash: h, hi: e.hi, lo: e.lo}); got != w&posMask {
			return fmt.Errorf("entry %d is found at %d", w&posMask, got)
		}
		if e.notAfter < s.now {
			return fmt.Errorf("entry ended at %d, and it is %d", e.notAfter, s.now)
		}
	}
	if live != s.live {
		return fmt.Errorf("%d entries in the index, counted are %d", live, s.live)
	}
	free := uint32(0)
	for pos := s.free; pos != 0; pos = s.at(pos).next {
		free++
	}
	if live+free != s.used {
		return fmt.Errorf("%d live and %d free entries of %d", live, free, s.used)
	}
	if s.wheel == nil {
		return nil
	}
	linked := uint32(0)
	for level := range uint32(levels) {
		for slot := range uint32(slots) {
			head := s.wheel.heads[level][slot]
			if (head != 0) != (s.wheel.used[level]>>slot&1 == 1) {
				return fmt.Errorf("slot %d of level %d: wrong mark", slot, level)
			}
			for prev, pos := uint32(0), head; pos != 0; prev, pos = pos, s.at(pos).next {
				linked++
				if linked > live {
					return fmt.Errorf("slot %d of level %d: too many entries", slot, level)
				}
				if s.at(pos).prev != prev {
					return fmt.Errorf("slot %d of level %d: wrong link", slot, level)
				}
				if l, n := slotOf(s.at(pos).notAfter, s.now); l != level || n != slot {
					return fmt.Errorf("slot %d of level %d: entry of slot %d of level %d", slot, level, n, l)
				}
			}
		}
	}
	if linked != live {
		return fmt.Errorf("%d entries in the wheel, %d live", linked, live)
	}
	return nil
}

// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import "math/bits"

const (
	// A tick is 16 seconds. What ends in it is cleared when it is over, all of it at once:
	// entries that lie side by side, in memory read in a row.
	tickBits = 4

	digitBits = 7
	slots     = 1 << digitBits
	// levels digits hold the 28 bits of a tick, so no entry is beyond the horizon.
	levels = 4
)

// wheel sorts entries by the tick in which they end, as a hierarchy of timing wheels.
// Ticks are numbers with digits of 7 bits. An entry is at the level of the highest
// digit in which its tick differs from the present one, in the slot of its own digit
// there: all of level 0 ends within the half hour or so that now is in. When now
// reaches the digit of a slot, the entries in it move down to lower levels. An entry
// moves at most once a level in all its life, and a clock that leaps costs no more than
// one look at each slot.
//
// The entries of a slot lie in blocks, a stack of them, each full but the last.
type wheel struct {
	// ends has for each slot the position after its last entry, 0 if it is empty.
	ends [levels][slots]uint32
	// tick is the present one.
	tick uint32
}

// slotOf returns where an entry that ends in a tick belongs in the present one. That
// stays the same as time moves on, until it reaches the slot.
func slotOf(tick, present uint32) (level, slot uint32) {
	if d := tick ^ present; d != 0 {
		level = uint32(bits.Len32(d)-1) / digitBits
	}
	return level, tick >> (level * digitBits) % slots
}

func (s *shard) slot(notAfter uint32) *uint32 {
	level, slot := slotOf(notAfter>>tickBits, s.wheel.tick)
	return &s.wheel.ends[level][slot]
}

// push makes room in a slot for an entry that ends then, and returns its position.
func (s *shard) push(notAfter uint32) uint32 {
	end := s.slot(notAfter)
	if *end%blockSize == 0 {
		block := s.alloc()
		s.under[block] = *end / blockSize
		*end = block * blockSize
	}
	*end++
	return *end - 1
}

// pop takes the last entry out of a slot.
func (s *shard) pop(end *uint32) {
	*end--
	if *end%blockSize == 0 {
		block := *end / blockSize
		*end = s.under[block] * blockSize
		s.under[block], s.free = s.free, block
	}
}

// advance moves the shard to now. What ended in an earlier tick is cleared; what ended
// in this one is left where it is, for look and expire. A time that is not ahead changes
// nothing.
func (s *shard) advance(now uint32) {
	if now <= s.now {
		return
	}
	s.now = now
	if s.wheel == nil || s.wheel.tick == now>>tickBits {
		return
	}
	was, tick := s.wheel.tick, now>>tickBits
	top, digit := slotOf(tick, was)
	s.wheel.tick = tick
	if s.held == 0 {
		return
	}
	gone := refund{quota: s.quota}
	// Below the highest digit that changed, everything shared that digit with the time
	// before: it is past. At it, slots before the digit are past, and the slot of the
	// digit is the one that now has reached. Above, nothing changed. Slots before the
	// digits of the time before are empty.
	for level := range top {
		for slot := was >> (level * digitBits) % slots; slot < slots; slot++ {
			s.drain(&s.wheel.ends[level][slot], &gone)
		}
	}
	for slot := was >> (top * digitBits) % slots; slot < digit; slot++ {
		s.drain(&s.wheel.ends[top][slot], &gone)
	}
	if top > 0 {
		s.drain(&s.wheel.ends[top][digit], &gone)
	}
	gone.flush()
}

// drain empties a slot, a block at a time: it drops what has ended and sorts the rest in
// again.
func (s *shard) drain(end *uint32, gone *refund) {
	var hashes [blockSize]uint64
	for *end != 0 {
		first := (*end - 1) / blockSize * blockSize
		s.readAhead(first, *end, &hashes)
		for pos := *end - 1; pos >= first; pos-- {
			e, h := s.at(pos), hashes[pos-first]
			if e.notAfter < s.now {
				s.displace(h, pos)
				s.held--
				gone.add(e.domain)
			} else {
				to := s.push(e.notAfter)
				*s.at(to) = *e
				s.repoint(h, pos, to)
			}
			s.pop(end)
		}
	}
}

// readAhead hashes the entries of a block and reads their words of the index. Those lie
// all over the memory, and a processor that is told of them together fetches them at
// the same time and not one after the other.
func (s *shard) readAhead(first, end uint32, hashes *[blockSize]uint64) {
	mask := uint64(len(s.index) - 1)
	read := uint32(0)
	for pos := first; pos < end; pos++ {
		h := s.hashAt(pos)
		hashes[pos-first] = h
		read |= s.index[h&mask]
	}
	s.read = read
}

// expire clears what has ended in the present tick.
func (s *shard) expire() {
	if s.wheel == nil {
		return
	}
	gone := refund{quota: s.quota}
	for next := *s.slot(s.now); next != 0; {
		pos := next - 1
		if next = pos; pos%blockSize == 0 {
			next = s.under[pos/blockSize] * blockSize
		}
		if s.at(pos).notAfter < s.now {
			gone.add(s.remove(pos, s.hashAt(pos)))
		}
	}
	gone.flush()
}

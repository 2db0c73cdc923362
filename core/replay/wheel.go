// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import "math/bits"

const (
	digitBits = 6
	slots     = 1 << digitBits
	// levels digits hold 36 bits, and times have 32, so no entry is beyond the horizon.
	levels = 6
)

// wheel sorts entries by when they expire, as a hierarchy of timing wheels. Times are
// numbers with digits of 6 bits. An entry is at the level of the highest digit in
// which its time differs from now, in the slot of its own digit there: all of level 0
// expires within the minute or so that now is in, all of level 1 within the hour or
// so. When now reaches the digit of a slot, the entries in it move down to lower
// levels. An entry moves at most once a level in all its life, and a clock that leaps
// costs no more than one look at each level.
type wheel struct {
	heads [levels][slots]uint32
	used  [levels]uint64 // a bit for each slot that is not empty
}

// slotOf returns where an entry that ends at t belongs while it is now. That stays the
// same as now moves on, until now reaches the slot.
func slotOf(t, now uint32) (level, slot uint32) {
	if d := t ^ now; d != 0 {
		level = uint32(bits.Len32(d)-1) / digitBits
	}
	return level, t >> (level * digitBits) % slots
}

func (s *shard) link(pos uint32) {
	e := s.at(pos)
	level, slot := slotOf(e.notAfter, s.now)
	head := &s.wheel.heads[level][slot]
	e.next, e.prev = *head, 0
	if *head != 0 {
		s.at(*head).prev = pos
	}
	*head = pos
	s.wheel.used[level] |= 1 << slot
}

func (s *shard) unlink(pos uint32) {
	e := s.at(pos)
	if e.next != 0 {
		s.at(e.next).prev = e.prev
	}
	if e.prev != 0 {
		s.at(e.prev).next = e.next
		return
	}
	level, slot := slotOf(e.notAfter, s.now)
	s.wheel.heads[level][slot] = e.next
	if e.next == 0 {
		s.wheel.used[level] &^= 1 << slot
	}
}

// extend lets an entry live on, never shorter.
func (s *shard) extend(pos, notAfter uint32) {
	if e := s.at(pos); notAfter > e.notAfter {
		s.unlink(pos)
		e.notAfter = notAfter
		s.link(pos)
	}
}

// advance moves the shard to now and drops every entry that ended before it. A time
// that is not ahead changes nothing.
func (s *shard) advance(now uint32) {
	if now <= s.now {
		return
	}
	top, digit := slotOf(now, s.now)
	s.now = now
	if s.live == 0 {
		return
	}
	gone := refund{quota: s.quota}
	// Below the highest digit that changed, everything shared that digit with the time
	// before: it is past. At it, slots before the digit are past, and the slot of the
	// digit is the one that now has reached. Above, nothing changed.
	for level := range top {
		s.drain(level, s.wheel.used[level], &gone)
	}
	reached := uint64(1) << digit
	s.drain(top, s.wheel.used[top]&(reached|(reached-1)), &gone)
	gone.flush()
}

// drain empties the given slots of a level: it drops what is past and sorts the rest
// in again.
func (s *shard) drain(level uint32, which uint64, gone *refund) {
	for ; which != 0; which &= which - 1 {
		slot := uint32(bits.TrailingZeros64(which))
		pos := s.wheel.heads[level][slot]
		s.wheel.heads[level][slot] = 0
		s.wheel.used[level] &^= 1 << slot
		for pos != 0 {
			e := s.at(pos)
			next := e.next
			if e.notAfter < s.now {
				gone.add(s.drop(pos))
			} else {
				s.link(pos)
			}
			pos = next
		}
	}
}

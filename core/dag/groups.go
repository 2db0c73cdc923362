// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag

import (
	"time"

	"github.com/go-ect/ect/core/id"
)

// group is what is dropped together: a workflow, or one token that has none.
type group struct {
	named  bool   // by a workflow
	newest uint32 // record, of a list
	// before and after are the next ones in the order in which groups were active.
	before, after uint32
	// last is when it was active last, since the store was made.
	last time.Duration
}

// groups are the groups of a store, in a ring that begins at place ring.
type groups struct{ table[group] }

const ring = 1

func newGroups() groups {
	s := groups{newTable[group]()}
	first := s.group(s.take())
	first.before, first.after = ring, ring
	return s
}

// group returns the group of a place.
func (s *groups) group(place uint32) *group { return &s.at(place).value }

// of returns the group of a workflow, 0 if there is none.
func (s *groups) of(w id.Workflow) uint32 {
	if !w.Present {
		return 0
	}
	return s.lookup(w.ID)
}

// quietest returns the group that was active the longest time ago, 0 if there is none.
func (s *groups) quietest() uint32 {
	if g := s.group(ring).after; g != ring {
		return g
	}
	return 0
}

// open makes a group.
func (s *groups) open(w id.Workflow, now time.Duration) uint32 {
	var place uint32
	if w.Present {
		place = s.add(w.ID, s.hash(w.ID))
	} else {
		place = s.take()
	}
	*s.group(place) = group{named: w.Present, last: now}
	s.push(place)
	return place
}

// touch notes that a group is active.
func (s *groups) touch(place uint32, now time.Duration) {
	s.group(place).last = now
	s.unlink(place)
	s.push(place)
}

// dissolve takes a group away.
func (s *groups) dissolve(place uint32) {
	s.unlink(place)
	if s.group(place).named {
		s.remove(place)
	} else {
		s.give(place)
	}
}

func (s *groups) push(place uint32) {
	g, first := s.group(place), s.group(ring)
	g.before, g.after = first.before, ring
	s.group(first.before).after = place
	first.before = place
}

func (s *groups) unlink(place uint32) {
	g := s.group(place)
	s.group(g.before).after, s.group(g.after).before = g.after, g.before
}

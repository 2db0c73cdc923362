// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag

import (
	"math"
	"slices"

	"github.com/go-ect/ect/core/id"
)

// record is a token that is kept.
type record struct {
	Node
	outcome
	own bool
	// group is what it is dropped with, older the next token in there; twin is its place
	// among the tokens of the same task id and level class, if there are several of the
	// id.
	group, older, twin uint32
	// version counts what became of the place: another token came, or more was found out
	// about it. It never starts anew, so that an equal one is an equal record.
	version uint64
	// few is room for what tokens usually have.
	few struct {
		preds [2]Edge
		found [2]id.Digest
	}
}

// outcome is what was found out about a token.
type outcome struct {
	// found has the digest of each predecessor, zero where none was found.
	found   []id.Digest
	lowest  uint8
	partial bool
}

// complete tells whether every edge led somewhere.
func (o *outcome) complete() bool { return !slices.Contains(o.found, id.Digest{}) }

func (o *outcome) equal(other *outcome) bool {
	return o.lowest == other.lowest && o.partial == other.partial && slices.Equal(o.found, other.found)
}

// fill makes r a record of a token. It shares strings with it and nothing else.
func (r *record) fill(n *Node, o *outcome, own bool) {
	*r = record{Node: *n, own: own, version: r.version}
	r.Preds = append(r.few.preds[:0], n.Preds...)
	r.learn(o)
}

// clear lets go of what the record holds.
func (r *record) clear() { *r = record{version: r.version} }

// learn takes an outcome over.
func (r *record) learn(o *outcome) {
	r.version++
	r.outcome = *o
	r.found = append(r.few.found[:0], o.found...)
}

// task is what is known by one task id: the tokens that bear it, of which there is
// nearly always one, and how many edges name it.
type task struct {
	only  uint32 // record; 0 if no token bears the id, several if several do
	named uint32
}

// several in place of a record says that there are twins.
const several = math.MaxUint32

// twins are the several tokens of one task id. Anybody can make more of them, so nothing
// walks over them.
type twins struct {
	byKey            map[Key]uint32
	byDigest         map[id.Short]uint32
	signed, unsigned []uint32
}

func (w *twins) class(signed bool) *[]uint32 {
	if signed {
		return &w.signed
	}
	return &w.unsigned
}

// tasks are the tokens of a store by task id.
type tasks struct {
	table   table[task]
	records slab[record]
	twins   map[uint32]*twins // by the place of the task
}

func newTasks() tasks { return tasks{table: newTable[task](), twins: map[uint32]*twins{}} }

// task returns the task of a place.
func (s *tasks) task(place uint32) *task { return &s.table.at(place).value }

// byKey returns the token of a key among those of a task, which may be 0, or 0.
func (s *tasks) byKey(place uint32, k *Key) uint32 {
	if place == 0 {
		return 0
	}
	t := s.task(place)
	switch {
	case t.only == several:
		return s.twins[place].byKey[*k]
	case t.only != 0 && s.records.at(t.only).Key == *k:
		return t.only
	}
	return 0
}

// byDigest returns a token of a digest among those of a task, which may be 0, or 0.
func (s *tasks) byDigest(place uint32, d id.Short) uint32 {
	if place == 0 {
		return 0
	}
	t := s.task(place)
	switch {
	case t.only == several:
		return s.twins[place].byDigest[d]
	case t.only != 0 && s.records.at(t.only).Digest.Short() == d:
		return t.only
	}
	return 0
}

// whole returns the token of a digest, all of it, among those of a task, or 0.
func (s *tasks) whole(place uint32, d id.Digest) uint32 {
	if r := s.byDigest(place, d.Short()); r != 0 && s.records.at(r).Digest == d {
		return r
	}
	return 0
}

// candidates returns what an edge of from to a task, which may be 0, could mean: nothing,
// one token, or two of several, which is as many as it takes to be ambiguous.
func (s *tasks) candidates(place uint32, from *Node, e Edge) (first, second uint32) {
	if e.Bound {
		return s.byDigest(place, e.Digest), 0
	}
	if place == 0 {
		return 0, 0
	}
	t := s.task(place)
	switch {
	case t.only == several:
		two := [2]uint32{}
		n := copy(two[:], s.twins[place].signed)
		if !from.Key.Signed {
			copy(two[n:], s.twins[place].unsigned)
		}
		return two[0], two[1]
	case t.only != 0 && e.Means(from, &s.records.at(t.only).Node):
		return t.only, 0
	}
	return 0, 0
}

// named tells whether an edge names a task, which may be 0.
func (s *tasks) named(place uint32) bool { return place != 0 && s.task(place).named > 0 }

// forget drops a task of which nothing is known any more.
func (s *tasks) forget(place uint32) {
	if *s.task(place) == (task{}) {
		s.table.remove(place)
	}
}

// name counts an edge that names a task.
func (s *tasks) name(place uint32) { s.task(place).named++ }

// unname takes an edge off again.
func (s *tasks) unname(place uint32) {
	s.task(place).named--
	s.forget(place)
}

// add lets one more token bear the id of a task.
func (s *tasks) add(place, r uint32) {
	t := s.task(place)
	switch t.only {
	case 0:
		t.only = r
		return
	case several:
	default:
		s.twins[place] = &twins{byKey: map[Key]uint32{}, byDigest: map[id.Short]uint32{}}
		s.addTwin(place, t.only)
		t.only = several
	}
	s.addTwin(place, r)
}

func (s *tasks) addTwin(place, r uint32) {
	w, rec := s.twins[place], s.records.at(r)
	w.byKey[rec.Key] = r
	w.byDigest[rec.Digest.Short()] = r
	class := w.class(rec.Key.Signed)
	rec.twin = uint32(len(*class))
	*class = append(*class, r)
}

// remove takes a token from a task.
func (s *tasks) remove(place, r uint32) {
	t := s.task(place)
	if t.only != several {
		t.only = 0
		s.forget(place)
		return
	}
	w, rec := s.twins[place], s.records.at(r)
	delete(w.byKey, rec.Key)
	if d := rec.Digest.Short(); w.byDigest[d] == r {
		delete(w.byDigest, d)
	}
	class := w.class(rec.Key.Signed)
	last := (*class)[len(*class)-1]
	(*class)[rec.twin] = last
	s.records.at(last).twin = rec.twin
	*class = (*class)[:len(*class)-1]
	if len(w.byKey) == 1 {
		t.only = append(w.signed, w.unsigned...)[0]
		delete(s.twins, place)
	}
}

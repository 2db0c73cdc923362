// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag

import (
	"hash/maphash"

	"github.com/go-ect/ect/core/id"
)

// chunkLen is how many values of a slab are allocated together.
const chunkLen = 128

// slab holds values in chunks, at places that are numbers: a store of many tasks is few
// objects and few pointers to the garbage collector. Place 0 is none. What was taken
// once stays allocated.
type slab[T any] struct {
	chunks []*[chunkLen]T
	free   []uint32
	taken  uint32 // ever, and so the last place
}

func (s *slab[T]) at(place uint32) *T { return &s.chunks[place/chunkLen][place%chunkLen] }

// take returns a place. The value there is as its last holder left it.
func (s *slab[T]) take() uint32 {
	if last := len(s.free) - 1; last >= 0 {
		place := s.free[last]
		s.free = s.free[:last]
		return place
	}
	s.taken++
	if int(s.taken/chunkLen) == len(s.chunks) {
		s.chunks = append(s.chunks, new([chunkLen]T))
	}
	return s.taken
}

// give takes a place back.
func (s *slab[T]) give(place uint32) { s.free = append(s.free, place) }

// table holds values by id. It grows bucket by bucket, so that no request waits for the
// others' ids to be sorted anew. Ids are strangers' choice: the hash has a secret seed.
type table[V any] struct {
	slab[row[V]]
	seed  maphash.Seed
	heads []uint32 // the first row of each bucket
	mask  uint32   // the least of 2^n-1 that is no less than the last bucket
	held  int
}

// row is a value of a table, in the list of its bucket.
type row[V any] struct {
	id         id.UUID
	hash, next uint32
	value      V
}

func newTable[V any]() table[V] {
	return table[V]{seed: maphash.MakeSeed(), heads: make([]uint32, 1)}
}

func (t *table[V]) hash(u id.UUID) uint32 { return uint32(maphash.Bytes(t.seed, u[:])) }

// bucket is where rows of a hash are. Buckets that were not split yet hold the rows of
// the one that will come of them as well.
func (t *table[V]) bucket(hash uint32) *uint32 {
	b := hash & t.mask
	if int(b) >= len(t.heads) {
		b &= t.mask >> 1
	}
	return &t.heads[b]
}

// find returns the place of an id with that hash, 0 if it has none.
func (t *table[V]) find(u id.UUID, hash uint32) uint32 {
	place := *t.bucket(hash)
	for place != 0 {
		r := t.at(place)
		if r.id == u {
			break
		}
		place = r.next
	}
	return place
}

// lookup is find for who does not need the hash again.
func (t *table[V]) lookup(u id.UUID) uint32 { return t.find(u, t.hash(u)) }

// add gives an id that has none a place. The value there is as its last holder left it.
func (t *table[V]) add(u id.UUID, hash uint32) uint32 {
	for t.held++; 2*t.held > len(t.heads); {
		t.split()
	}
	place := t.take()
	r := t.at(place)
	head := t.bucket(hash)
	r.id, r.hash = u, hash
	r.next, *head = *head, place
	return place
}

// split makes one more bucket, of a part of another.
func (t *table[V]) split() {
	fresh := uint32(len(t.heads))
	t.heads = append(t.heads, 0)
	if fresh > t.mask {
		t.mask = t.mask<<1 | 1
	}
	from := &t.heads[fresh&(t.mask>>1)]
	for *from != 0 {
		r := t.at(*from)
		if r.hash&t.mask != fresh {
			from = &r.next
			continue
		}
		place := *from
		*from = r.next
		r.next, t.heads[fresh] = t.heads[fresh], place
	}
}

// remove takes the place of an id back.
func (t *table[V]) remove(place uint32) {
	gone := t.at(place)
	from := t.bucket(gone.hash)
	for *from != place {
		from = &t.at(*from).next
	}
	*from = gone.next
	t.held--
	t.give(place)
}

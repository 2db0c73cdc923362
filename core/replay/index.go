// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import "math/bits"

const (
	// A word of the index is the position of an entry, 0 for none, with eight bits above
	// it that spare looks at the entry: its distance from its own place, as far as that
	// can be written, and a few bits of its hash.
	posBits  = 24
	posMask  = 1<<posBits - 1
	distBits = 4
	maxDist  = 1<<distBits - 1
	tagShift = posBits + distBits

	minIndex = 64
)

// hash mixes the key with secrets of this store. The key is a hash already, but one
// that its issuer can try out at leisure: with the plain bits, tokens made to share
// a place in the index would turn each look into a walk over all of them.
func hash(seed *[2]uint64, hi, lo uint64) uint64 {
	h, l := bits.Mul64(hi^seed[0], lo^seed[1])
	return h ^ l
}

// The top bits of a hash choose the shard, those below go into the word, and the low
// ones are the place in the index.
func shardOf(hash uint64) int { return int(hash >> (64 - shardBits)) }

// word is what stands in the index for an entry, at a distance from its place.
func word(hash uint64, pos uint32, dist uint64) uint32 {
	return uint32(hash>>(32-shardBits))>>tagShift<<tagShift | uint32(min(dist, maxDist))<<posBits | pos
}

// find returns the position of the entry with this key, or 0.
func (s *shard) find(it *item) uint32 {
	if len(s.index) == 0 {
		return 0
	}
	mask := uint64(len(s.index) - 1)
	for dist := uint64(0); ; dist++ {
		w := s.index[(it.hash+dist)&mask]
		if w == 0 {
			return 0
		}
		if w&^posMask != word(it.hash, 0, dist) {
			continue
		}
		if e := s.at(w & posMask); e.hi == it.hi && e.lo == it.lo {
			return w & posMask
		}
	}
}

// place writes the entry into the first free word of the index from its place on.
func (s *shard) place(hash uint64, pos uint32) {
	mask := uint64(len(s.index) - 1)
	dist := uint64(0)
	for s.index[(hash+dist)&mask] != 0 {
		dist++
	}
	s.index[(hash+dist)&mask] = word(hash, pos, dist)
}

// where returns the place in the index of the entry at pos.
func (s *shard) where(hash uint64, pos uint32) uint64 {
	mask := uint64(len(s.index) - 1)
	i := hash & mask
	for s.index[i]&posMask != pos {
		i = (i + 1) & mask
	}
	return i
}

// repoint tells the index that an entry has moved.
func (s *shard) repoint(hash uint64, from, to uint32) {
	i := s.where(hash, from)
	s.index[i] = s.index[i]&^posMask | to
}

// displace takes an entry out of the index and moves those behind it up, so that no
// marks of deleted entries are left to walk over.
func (s *shard) displace(hash uint64, pos uint32) {
	mask := uint64(len(s.index) - 1)
	gap := s.where(hash, pos)
	for i := (gap + 1) & mask; s.index[i] != 0; i = (i + 1) & mask {
		// An entry may move up to the gap, but not before its own place.
		dist, move := s.dist(i, mask), (i-gap)&mask
		if dist < move {
			continue
		}
		w := s.index[i] &^ (maxDist << posBits)
		s.index[gap] = w | uint32(min(dist-move, maxDist))<<posBits
		gap = i
	}
	s.index[gap] = 0
}

// dist returns how far the entry at i in the index is from its own place.
func (s *shard) dist(i, mask uint64) uint64 {
	w := s.index[i]
	if dist := w >> posBits & maxDist; dist < maxDist {
		return uint64(dist)
	}
	return (i - s.hashAt(w&posMask)) & mask
}

func (s *shard) hashAt(pos uint32) uint64 {
	e := s.at(pos)
	return hash(&s.seed, e.hi, e.lo)
}

func (s *shard) grow() {
	old := s.index
	s.index = make([]uint32, max(minIndex, 2*len(old)))
	for _, w := range old {
		if w != 0 {
			pos := w & posMask
			s.place(s.hashAt(pos), pos)
		}
	}
}

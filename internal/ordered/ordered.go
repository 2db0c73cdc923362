// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package ordered is a set that keeps the order in which its members came.
package ordered

import "slices"

// Set holds values by key, in the order in which they came. No change costs more the
// more members there are. The zero value is empty; it is not safe for concurrent use.
type Set[K comparable, V any] struct {
	members []item[K, V]
	gone    int
	// at says where a member is, once there are more than a few.
	at map[K]int
}

type item[K comparable, V any] struct {
	key   K
	value V
	gone  bool
}

// few is how many members are looked for one by one.
const few = 16

// Len returns how many members there are.
func (s *Set[K, V]) Len() int { return len(s.members) - s.gone }

// Has tells whether a key is there.
func (s *Set[K, V]) Has(k K) bool { return s.index(k) >= 0 }

func (s *Set[K, V]) index(k K) int {
	if s.at == nil {
		return slices.IndexFunc(s.members, func(m item[K, V]) bool { return m.key == k })
	}
	if n, ok := s.at[k]; ok {
		return n
	}
	return -1
}

// Add lets a new member in, and tells whether it was new. One that is there stays as it
// is.
func (s *Set[K, V]) Add(k K, v V) bool {
	if s.Has(k) {
		return false
	}
	if s.at != nil {
		s.at[k] = len(s.members)
	}
	s.members = append(s.members, item[K, V]{key: k, value: v})
	if s.at == nil && len(s.members) > few {
		s.lookUp()
	}
	return true
}

// lookUp makes the members ones that are looked up.
func (s *Set[K, V]) lookUp() {
	s.at = make(map[K]int, 2*len(s.members))
	for n, m := range s.members {
		s.at[m.key] = n
	}
}

// Remove takes a member out, and tells whether it was in.
func (s *Set[K, V]) Remove(k K) bool {
	n := s.index(k)
	if n < 0 {
		return false
	}
	if s.at == nil {
		s.members = slices.Delete(s.members, n, n+1)
		return true
	}
	delete(s.at, k)
	s.members[n] = item[K, V]{gone: true}
	if s.gone++; s.gone > few && s.gone > len(s.members)/2 {
		s.members = slices.DeleteFunc(s.members, func(m item[K, V]) bool { return m.gone })
		if s.gone, s.at = 0, nil; len(s.members) > few {
			s.lookUp()
		}
	}
	return true
}

// Values returns the members in the order they came, in a slice of the caller's.
func (s *Set[K, V]) Values() []V {
	if s.Len() == 0 {
		return nil
	}
	all := make([]V, 0, s.Len())
	for _, m := range s.members {
		if !m.gone {
			all = append(all, m.value)
		}
	}
	return all
}

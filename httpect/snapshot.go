// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"net/http"
	"slices"
)

// snapshot is a header section as it was at one moment, whatever is done to the original
// afterwards. It must not be copied: it has room of its own for what most sections hold.
type snapshot struct {
	fields []field
	few    [4]field
	values [6]string
}

type field struct {
	name   string
	values []string
}

// take replaces what the snapshot holds by what h holds.
func (s *snapshot) take(h http.Header) {
	s.fields = s.few[:0]
	room := s.values[:0]
	for name, values := range h {
		from := len(room)
		room = append(room, values...)
		s.fields = append(s.fields, field{name, room[from:len(room):len(room)]})
	}
}

// get returns the values of a field by its name as it stands in the map; none where no
// snapshot was taken.
func (s *snapshot) get(name string) []string {
	if s == nil {
		return nil
	}
	for _, f := range s.fields {
		if f.name == name {
			return f.values
		}
	}
	return nil
}

// first returns the first value of a field, "" if there is none.
func (s *snapshot) first(name string) string {
	if values := s.get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// is tells whether h holds what the snapshot holds.
func (s *snapshot) is(h http.Header) bool {
	if len(h) != len(s.fields) {
		return false
	}
	for _, f := range s.fields {
		if values, ok := h[f.name]; !ok || !slices.Equal(values, f.values) {
			return false
		}
	}
	return true
}

// restore makes h hold what the snapshot holds.
func (s *snapshot) restore(h http.Header) {
	clear(h)
	for _, f := range s.fields {
		h[f.name] = f.values
	}
}

// revise makes the changes to h that lead from the snapshot to late.
func (s *snapshot) revise(h, late http.Header) {
	for _, f := range s.fields {
		if _, ok := late[f.name]; !ok {
			delete(h, f.name)
		}
	}
	for name, values := range late {
		if !slices.Equal(values, s.get(name)) {
			h[name] = values
		}
	}
}

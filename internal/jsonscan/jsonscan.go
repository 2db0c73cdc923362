// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package jsonscan reads JSON once, from left to right, more strictly than RFC 8259
// asks: valid UTF-8, no lone surrogate, no duplicate member at any depth, member
// names compared with case, a bound on depth, numbers within the range of a double,
// and nothing after the value (profile 2.6). It builds no tree and no map of members:
// the caller is told each member's name and takes the value it wants.
package jsonscan

import (
	"errors"
	"math"
	"slices"
	"strconv"
)

// MaxDepth is how deep objects and arrays may be nested, the outermost counted as
// one (profile 2.6).
const MaxDepth = 16

// mapThreshold is the number of members of one object from which duplicates are
// looked up in a map, so that an object of thousands of members costs no square.
const mapThreshold = 24

// The errors of this package name a rule and never contain a byte of the input.
var (
	ErrSyntax    = errors.New("json: syntax")
	ErrDepth     = errors.New("json: nested too deep")
	ErrDuplicate = errors.New("json: duplicate member")
	ErrUTF8      = errors.New("json: not valid UTF-8, or a lone surrogate")
	ErrRange     = errors.New("json: number out of range")
	ErrTrailing  = errors.New("json: something after the value")
)

// Kind is the type of a JSON value.
type Kind uint8

// The kinds of values. Invalid is what stands where no value can begin.
const (
	Invalid Kind = iota
	Object
	Array
	String
	Number
	Bool
	Null
)

// Scanner reads one JSON text at a time. Make one with [New], or [Scanner.Reset] a zero
// one. It is not safe for concurrent use.
type Scanner struct {
	s     string
	i     int
	depth int
	// names holds the member names of the objects that are open, innermost last, so
	// that nested objects share one allocation.
	names []string
	first [16]string
}

// New returns a scanner over s.
func New(s string) *Scanner {
	sc := new(Scanner)
	sc.Reset(s)
	return sc
}

// Reset makes the scanner read another text from its beginning.
func (sc *Scanner) Reset(s string) {
	// What is left in first is not looked at, and goes with the scanner.
	sc.s, sc.i, sc.depth, sc.names = s, 0, 0, sc.first[:0]
}

// Kind tells what value stands next, white space before it skipped.
func (sc *Scanner) Kind() Kind {
	sc.space()
	if sc.i >= len(sc.s) {
		return Invalid
	}
	switch c := sc.s[sc.i]; {
	case c == '{':
		return Object
	case c == '[':
		return Array
	case c == '"':
		return String
	case c == '-' || c >= '0' && c <= '9':
		return Number
	case c == 't' || c == 'f':
		return Bool
	case c == 'n':
		return Null
	}
	return Invalid
}

// Pos returns the offset of the next value, white space before it skipped. With the
// offset after the value it spans the value as sent.
func (sc *Scanner) Pos() int {
	sc.space()
	return sc.i
}

// Offset returns the offset behind what was read last.
func (sc *Scanner) Offset() int { return sc.i }

// End reports [ErrTrailing] unless only white space is left.
func (sc *Scanner) End() error {
	sc.space()
	if sc.i != len(sc.s) {
		return ErrTrailing
	}
	return nil
}

// Members reads an object and calls value for each member, its name unescaped.
// value must read exactly one value (with Skip if it wants none).
func (sc *Scanner) Members(value func(name string) error) error {
	if err := sc.open('{'); err != nil {
		return err
	}
	base := len(sc.names)
	var seen map[string]struct{}
	var marks uint64 // a bit for each name so far, which some others share
	for n := 0; ; n++ {
		sc.space()
		if n == 0 && sc.take('}') {
			break
		}
		if n > 0 {
			if sc.take('}') {
				break
			}
			if !sc.take(',') {
				return ErrSyntax
			}
			sc.space()
		}
		name, err := sc.Text()
		if err != nil {
			return err
		}
		if bit := mark(name); seen == nil && marks&bit == 0 && len(sc.names)-base < mapThreshold-1 {
			marks |= bit
			sc.names = append(sc.names, name)
		} else if seen, err = sc.unique(seen, base, name); err != nil {
			return err
		}
		sc.space()
		if !sc.take(':') {
			return ErrSyntax
		}
		if err := value(name); err != nil {
			return err
		}
	}
	sc.names = sc.names[:base]
	sc.depth--
	return nil
}

// mark returns one bit of 64 for a name, the same for equal names.
func mark(name string) uint64 {
	if name == "" {
		return 1
	}
	return 1 << ((uint(name[0])*5 + uint(name[len(name)-1])*11 + uint(len(name))*3) % 64)
}

// unique notes a member name of the innermost open object, whose names begin at base.
func (sc *Scanner) unique(seen map[string]struct{}, base int, name string) (map[string]struct{}, error) {
	if seen != nil {
		if _, dup := seen[name]; dup {
			return seen, ErrDuplicate
		}
		seen[name] = struct{}{}
		return seen, nil
	}
	own := sc.names[base:]
	if slices.Contains(own, name) {
		return nil, ErrDuplicate
	}
	sc.names = append(sc.names, name)
	if len(own)+1 < mapThreshold {
		return nil, nil //nolint:nilnil // no map yet, and no error
	}
	seen = make(map[string]struct{}, 2*mapThreshold)
	for _, o := range sc.names[base:] {
		seen[o] = struct{}{}
	}
	return seen, nil
}

// Elements reads an array and calls value for each element, which must read
// exactly one value.
func (sc *Scanner) Elements(value func() error) error {
	if err := sc.open('['); err != nil {
		return err
	}
	for n := 0; ; n++ {
		sc.space()
		if sc.take(']') {
			break
		}
		if n > 0 && !sc.take(',') {
			return ErrSyntax
		}
		if err := value(); err != nil {
			return err
		}
	}
	sc.depth--
	return nil
}

// Skip reads one value of any kind and checks it. It returns how deep the value is
// nested: 0 for a scalar, 1 for an object or array of scalars.
func (sc *Scanner) Skip() (depth int, err error) {
	switch sc.Kind() {
	case Object:
		err = sc.Members(func(string) error { return sc.skipChild(&depth) })
		return depth + 1, err
	case Array:
		err = sc.Elements(func() error { return sc.skipChild(&depth) })
		return depth + 1, err
	case String:
		_, err = sc.Text()
	case Number:
		_, err = sc.Number()
	case Bool:
		if !sc.literal("true") && !sc.literal("false") {
			err = ErrSyntax
		}
	case Null:
		if !sc.literal("null") {
			err = ErrSyntax
		}
	default:
		err = ErrSyntax
	}
	return 0, err
}

func (sc *Scanner) skipChild(deepest *int) error {
	d, err := sc.Skip()
	*deepest = max(*deepest, d)
	return err
}

// Number reads a number and returns it as sent. A number that no IEEE 754 double
// can hold is [ErrRange]: two parsers would read it differently.
func (sc *Scanner) Number() (string, error) {
	sc.space()
	start := sc.i
	sc.take('-')
	switch {
	case sc.take('0'):
	case !sc.digits():
		return "", ErrSyntax
	}
	if sc.take('.') && !sc.digits() {
		return "", ErrSyntax
	}
	exponent := sc.i < len(sc.s) && sc.s[sc.i]|0x20 == 'e'
	if exponent {
		sc.i++
		if !sc.take('+') {
			sc.take('-')
		}
		if !sc.digits() {
			return "", ErrSyntax
		}
	}
	n := sc.s[start:sc.i]
	if exponent || len(n) > 300 {
		if f, err := strconv.ParseFloat(n, 64); err != nil || math.IsInf(f, 0) {
			return "", ErrRange
		}
	}
	return n, nil
}

func (sc *Scanner) digits() bool {
	start := sc.i
	for sc.i < len(sc.s) && sc.s[sc.i] >= '0' && sc.s[sc.i] <= '9' {
		sc.i++
	}
	return sc.i > start
}

func (sc *Scanner) open(c byte) error {
	sc.space()
	if !sc.take(c) {
		return ErrSyntax
	}
	if sc.depth == MaxDepth {
		return ErrDepth
	}
	sc.depth++
	return nil
}

func (sc *Scanner) space() {
	for sc.i < len(sc.s) {
		switch sc.s[sc.i] {
		case ' ', '\t', '\n', '\r':
			sc.i++
		default:
			return
		}
	}
}

func (sc *Scanner) take(c byte) bool {
	if sc.i < len(sc.s) && sc.s[sc.i] == c {
		sc.i++
		return true
	}
	return false
}

func (sc *Scanner) literal(l string) bool {
	if len(sc.s)-sc.i < len(l) || sc.s[sc.i:sc.i+len(l)] != l {
		return false
	}
	sc.i += len(l)
	return true
}

// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jsonscan

import (
	"unicode/utf8"
)

// plain marks the bytes that stand for themselves within a string: ASCII but
// controls, quotation mark and reverse solidus.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// allPlain tells whether eight bytes are plain, all at once. The top bit of a byte is set
// in what is or'ed together if the byte, in this order, is not ASCII, is a control, a
// quotation mark or a reverse solidus. A borrow can only make a byte suspect whose lower
// neighbour is: then the slower look decides.
func allPlain(s string) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	_ = s[7]
	w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	return (w|(w-0x20*ones)|((w^'"'*ones)-ones)|((w^'\\'*ones)-ones))&tops == 0
}

// Text reads a string and returns it unescaped. The result is a part of the input
// where the string has no escapes.
func (sc *Scanner) Text() (string, error) {
	sc.space()
	if !sc.take('"') {
		return "", ErrSyntax
	}
	start := sc.i
	for len(sc.s)-sc.i >= 8 && allPlain(sc.s[sc.i:sc.i+8]) {
		sc.i += 8
	}
	for sc.i < len(sc.s) && plain[sc.s[sc.i]] {
		sc.i++
	}
	if sc.i < len(sc.s) && sc.s[sc.i] == '"' {
		sc.i++
		return sc.s[start : sc.i-1], nil
	}
	return sc.textSlow([]byte(sc.s[start:sc.i]))
}

func (sc *Scanner) textSlow(b []byte) (string, error) {
	for sc.i < len(sc.s) {
		switch c := sc.s[sc.i]; {
		case c == '"':
			sc.i++
			return string(b), nil
		case c == '\\':
			r, err := sc.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		case c < 0x20:
			return "", ErrSyntax
		default:
			r, n := utf8.DecodeRuneInString(sc.s[sc.i:])
			if r == utf8.RuneError && n == 1 {
				return "", ErrUTF8
			}
			b = append(b, sc.s[sc.i:sc.i+n]...)
			sc.i += n
		}
	}
	return "", ErrSyntax
}

// escape reads one escape sequence, a pair of surrogates as one.
func (sc *Scanner) escape() (rune, error) {
	if sc.i+1 >= len(sc.s) {
		return 0, ErrSyntax
	}
	c := sc.s[sc.i+1]
	sc.i += 2
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return sc.codePoint()
	}
	return 0, ErrSyntax
}

func (sc *Scanner) codePoint() (rune, error) {
	hi, ok := sc.hex4()
	if !ok {
		return 0, ErrSyntax
	}
	if hi < 0xd800 || hi > 0xdfff {
		return hi, nil
	}
	if hi > 0xdbff || sc.i+2 > len(sc.s) || sc.s[sc.i] != '\\' || sc.s[sc.i+1] != 'u' {
		return 0, ErrUTF8
	}
	sc.i += 2
	lo, ok := sc.hex4()
	if !ok {
		return 0, ErrSyntax
	}
	if lo < 0xdc00 || lo > 0xdfff {
		return 0, ErrUTF8
	}
	return 0x10000 + (hi-0xd800)<<10 + (lo - 0xdc00), nil
}

func (sc *Scanner) hex4() (rune, bool) {
	if sc.i+4 > len(sc.s) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(sc.s[sc.i : sc.i+4]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	sc.i += 4
	return r, true
}

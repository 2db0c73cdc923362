// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package related

import (
	"crypto/rand"
	"strings"
)

const relatedType = "multipart/related"

// NewBoundary returns a boundary that nobody can have put into a body before.
func NewBoundary() string { return rand.Text() }

// Type returns the media type of a message with a boundary, for Content-Type.
func Type(boundary string) string {
	if !isName(boundary) {
		boundary = `"` + boundary + `"` // no boundary holds a quote or a backslash
	}
	return relatedType + `; type="` + tokensType + `"; boundary=` + boundary
}

// ParseType looks at a value of Content-Type. It tells whether that is the type of a
// message of this form, well formed or not, and returns its boundary. The error, which
// only such a type has, is [ErrMalformed]: the parameters are not exactly type and
// boundary, in any order.
func ParseType(value string) (boundary string, ours bool, err error) {
	media, params, _ := strings.Cut(value, ";")
	if !strings.EqualFold(strings.Trim(media, blanks), relatedType) {
		return "", false, nil
	}
	seen := map[string]string{}
	fault := ""
	for params != "" {
		name, text, rest, ok := parameter(params)
		if !ok {
			fault = "a parameter of the media type is not well formed"
			// What cannot be read may have said that it is ours.
			ours = ours || strings.Contains(strings.ToLower(params), tokensType)
			break
		}
		params = rest
		if _, again := seen[name]; again {
			fault = "a parameter of the media type comes twice"
		}
		seen[name] = text
		switch name {
		case "type":
			ours = ours || strings.EqualFold(text, tokensType)
		case "boundary":
			boundary = text
		default:
			fault = "the media type has another parameter than type and boundary"
		}
	}
	switch {
	case !ours:
		return "", false, nil
	case fault != "":
		return "", true, malformed(fault)
	case !isBoundary(boundary):
		return "", true, malformed("the media type has no boundary, or not a good one")
	}
	return boundary, true, nil
}

// parameter reads the first of some parameters, its name in lower case, and the
// semicolon before the next.
func parameter(s string) (name, text, rest string, ok bool) {
	name, s, ok = strings.Cut(s, "=")
	name = strings.ToLower(strings.TrimLeft(name, blanks))
	if !ok || !isName(name) {
		return "", "", "", false
	}
	if quoted, is := strings.CutPrefix(s, `"`); is {
		text, s, ok = unquote(quoted)
	} else {
		end := strings.IndexAny(s, "; \t")
		if end < 0 {
			end = len(s)
		}
		text, s = s[:end], s[end:]
		ok = isName(text)
	}
	s = strings.Trim(s, blanks)
	rest, more := strings.CutPrefix(s, ";")
	if !ok || s != "" && (!more || strings.Trim(rest, blanks) == "") {
		return "", "", "", false
	}
	return name, text, rest, true
}

// unquote reads what stands before the closing quote (RFC 9110, 5.6.4).
func unquote(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for n := 0; n < len(s); n++ {
		switch s[n] {
		case '"':
			text = b.String()
			return text, s[n+1:], isValue(text)
		case '\\':
			if n++; n == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[n])
	}
	return "", "", false
}

// isName tells whether a text is a token in the sense of RFC 9110, 5.6.2.
func isName(s string) bool {
	for n := range len(s) {
		if !isAlphanumeric(s[n]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[n]) < 0 {
			return false
		}
	}
	return s != ""
}

// isBoundary tells whether a text can be a boundary (RFC 2046, 5.1.1).
func isBoundary(s string) bool {
	for n := range len(s) {
		if !isAlphanumeric(s[n]) && strings.IndexByte("'()+_,-./:=? ", s[n]) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= MaxBoundary && s[len(s)-1] != ' '
}

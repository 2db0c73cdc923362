// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package related reads and writes the one form of multipart/related in which tokens
// travel in a body (profile 9.3):
//
//	--boundary
//	Content-Type: application/exec+jwt
//
//	the tokens, one a line
//	--boundary
//	Content-Type: application/tlog-proof
//
//	the text of the receipts field; this part may be left out
//	--boundary
//	the fields of the body, those of four that it has
//
//	the body
//	--boundary--
//
// Every line ends in CRLF, the last one too. Nothing stands before the first delimiter
// or after the last, and there is no other part and no other field. It is no general
// reader: mime/multipart skips what stands before and after, takes a bare LF for a line
// end and decodes a part unasked, so that two readers could see two messages in one.
package related

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of the form that nobody has asked to be settable.
const (
	// MaxBoundary is the longest boundary (RFC 2046, 5.1.1).
	MaxBoundary = 70
	// MaxHeaderBytes bounds the header section of one part, line ends and the empty line
	// included.
	MaxHeaderBytes = 8 << 10
	// MaxReceiptBytes bounds the text of the receipts (profile 8.3).
	MaxReceiptBytes = 64 << 10
)

// Limits bounds the part that holds the tokens (profile 9.2).
type Limits struct {
	// TokenBytes is the longest token, Tokens how many there may be.
	TokenBytes, Tokens int
	// TotalBytes bounds the part, line ends between the tokens included.
	TotalBytes int
}

// The errors that a message can be blamed for. What they wrap says which rule was
// broken and has no byte of the message. Any other error is one of the source.
var (
	ErrMalformed = errors.New("related: malformed")
	ErrTooLarge  = errors.New("related: too large")
)

func malformed(why string) error { return fmt.Errorf("%w: %s", ErrMalformed, why) }
func tooLarge(what string) error { return fmt.Errorf("%w: %s", ErrTooLarge, what) }

// The fields that the part of the body may have, and what the media types of the other
// parts are.
const (
	ContentType        = "Content-Type"
	ContentEncoding    = "Content-Encoding"
	ContentLanguage    = "Content-Language"
	ContentDisposition = "Content-Disposition"

	tokensType   = "application/exec+jwt"
	receiptsType = "application/tlog-proof"
)

// Fields returns the names of the fields that the part of the body may have, in the
// order in which they are written.
func Fields() []string {
	return []string{ContentType, ContentEncoding, ContentLanguage, ContentDisposition}
}

// Head is what a message says before its body.
type Head struct {
	// Tokens are one or more.
	Tokens []string
	// Receipts is the text of the receipts field, "" if there is none.
	Receipts string
	// Header has the fields of the body by their names, as in [Fields].
	Header map[string]string
}

// isReceipts tells whether a part with these fields can hold nothing but receipts. So
// that a reader knows at once, a body of that media type follows a part of receipts,
// which is empty where there are none.
func isReceipts(header map[string]string) bool {
	media, _, _ := strings.Cut(header[ContentType], ";")
	return strings.EqualFold(strings.Trim(media, blanks), receiptsType)
}

const blanks = " \t"

// isToken tells whether a text has nothing but the bytes of a token (profile 2.5).
func isToken(s string) bool {
	for n := range len(s) {
		c := s[n]
		if !isAlphanumeric(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// isValue tells whether a text can be the value of a field (RFC 9110, 5.5).
func isValue(s string) bool {
	for n := range len(s) {
		if c := s[n]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isStructured tells whether a text can be the value of a structured field, which is
// ASCII alone (RFC 9651).
func isStructured(s string) bool {
	return isValue(s) && !strings.ContainsFunc(s, func(r rune) bool { return r > '~' })
}

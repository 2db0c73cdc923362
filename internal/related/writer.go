// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package related

import "strings"

// closing is what makes the last delimiter of a message.
const closing = "--\r\n"

// Frame returns what stands before and after the body in a message with this head. The
// body must not hold the boundary, which [NewBoundary] sees to. The errors are
// [ErrMalformed] and [ErrTooLarge]: something of the head is not what a reader takes.
func (h *Head) Frame(boundary string) (before, after string, err error) {
	switch {
	case !isBoundary(boundary):
		return "", "", malformed("not a boundary")
	case len(h.Tokens) == 0:
		return "", "", malformed("no token")
	case len(h.Receipts) > MaxReceiptBytes:
		return "", "", tooLarge("the receipts")
	case !isStructured(h.Receipts):
		return "", "", malformed("the receipts are not the text of a field")
	}
	for _, t := range h.Tokens {
		if !isToken(t) {
			return "", "", malformed("a line is not a token")
		}
	}
	if err := plain(h.Header); err != nil {
		return "", "", err
	}
	fields, err := h.fields()
	if err != nil {
		return "", "", err
	}
	delimiter := "--" + boundary
	part := func(media, content string) string {
		return delimiter + "\r\n" + ContentType + ": " + media + "\r\n\r\n" + content + "\r\n"
	}
	before = part(tokensType, strings.Join(h.Tokens, "\r\n"))
	if h.Receipts != "" || isReceipts(h.Header) {
		before += part(receiptsType, h.Receipts)
	}
	return before + delimiter + "\r\n" + fields, "\r\n" + delimiter + closing, nil
}

// fields returns the header section of the body.
func (h *Head) fields() (string, error) {
	var b strings.Builder
	left := len(h.Header)
	for _, name := range Fields() {
		value, ok := h.Header[name]
		if !ok {
			continue
		}
		left--
		if !isValue(value) {
			return "", malformed("a field has a control character")
		}
		b.WriteString(name + ": " + strings.Trim(value, blanks) + "\r\n")
	}
	b.WriteString("\r\n")
	switch {
	case left > 0:
		return "", malformed("a field that no body has")
	case b.Len() > MaxHeaderBytes:
		return "", tooLarge("the header section of a part")
	}
	return b.String(), nil
}

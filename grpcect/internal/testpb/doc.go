// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package testpb is the service that the tests of grpcect speak to: a method of every
// kind, over messages whose serialization is not canonical and over empty ones.
package testpb

//go:generate make -C ../../.. generate

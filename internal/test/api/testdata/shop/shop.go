// Package shop has one of each thing that a package exports.
package shop

import (
	"errors"
	"fmt"
)

// Currency is a constant.
const Currency = "EUR"

const unit = 100

// ErrSoldOut is a variable.
var ErrSoldOut = errors.New("sold out")

// Item is an alias.
type Item = string

// Money is a number.
type Money int

// Payer is an interface.
type Payer interface{ Pay(amount int) error }

// Cart is a struct.
type Cart struct {
	Items []Item
	fmt.Stringer
	paid Money
}

// Empty is a method.
func (c Cart) Empty() bool { return len(c.Items) == 0 }

// Pay is a method of a pointer.
func (c *Cart) Pay(amount int) error {
	c.paid += Money(amount * unit)
	return c.check()
}

func (c *Cart) check() error { return nil }

// Open is a function.
func Open(names ...Item) (*Cart, error) { return &Cart{Items: names}, nil }

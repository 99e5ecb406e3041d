// Package shop has one of each kind of identifier that a package exports.
package shop

import (
	"errors"
	"fmt"
)

const (
	Currency = "EUR"
	unit     = 100
)

var ErrSoldOut = errors.New("sold out")

type (
	Item  = string
	Money int
	Payer interface{ Pay(amount int) error }
	Cart  struct {
		Items []Item
		fmt.Stringer
		paid Money
	}
)

func (c Cart) Empty() bool { return len(c.Items) == 0 }

func (c *Cart) Pay(amount int) error {
	c.paid += Money(amount * unit)
	return c.check()
}

func (c *Cart) check() error { return nil }

func Open(names ...Item) (*Cart, error) { return &Cart{Items: names}, nil }

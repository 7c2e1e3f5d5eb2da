"""Affine maps of the plane, one for each pair of a batch."""
import typing


class Affine(typing.NamedTuple):
    """(x, y) → (xx·x + xy·y + x0, yx·x + yy·y + y0), for numbers, arrays and tensors alike that broadcast together."""
    xx: typing.Any
    xy: typing.Any
    yx: typing.Any
    yy: typing.Any
    x0: typing.Any
    y0: typing.Any

    def apply(self, x, y):
        """Where points are taken: their x and y → the new x and y."""
        return self.xx * x + self.x0 + self.xy * y, self.yx * x + self.y0 + self.yy * y

    def apply_to_vector(self, u, v):
        """How differences of points are changed, such as motions: u and v → the new u and v."""
        return self.xx * u + self.xy * v, self.yx * u + self.yy * v

    def displacement(self, x, y):
        """How far points are moved, apply(x, y) − (x, y), without the digits that this difference would lose."""
        return self._replace(xx=self.xx - 1, yy=self.yy - 1).apply(x, y)

    def compose(self, first: 'Affine') -> 'Affine':
        """The map that takes points by `first` and then by this one."""
        xx, yx = self.apply_to_vector(first.xx, first.yx)
        xy, yy = self.apply_to_vector(first.xy, first.yy)
        return Affine(xx, xy, yx, yy, *self.apply(first.x0, first.y0))

    def inverse(self) -> 'Affine':
        """The map back."""
        determinant = self.xx * self.yy - self.xy * self.yx
        back = Affine(xx=self.yy / determinant, xy=-self.xy / determinant, x0=0,
                      yx=-self.yx / determinant, yy=self.xx / determinant, y0=0)
        x0, y0 = back.apply_to_vector(self.x0, self.y0)
        return back._replace(x0=-x0, y0=-y0)

    def shifted(self, x, y) -> 'Affine':
        """The map followed by a translation."""
        return self._replace(x0=self.x0 + x, y0=self.y0 + y)

import{u as a,P as t,t as e,E as r,S as c}from"./index-9jrdRjZC.js";function i(){return a(c,{children:[a(t,{title:e("app.search")}),a(r,{icon:"search",title:e("app.search")})]})}export{i as default};
